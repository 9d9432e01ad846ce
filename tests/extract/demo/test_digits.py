"""The demo's images: real, complete, split without overlap, and written once."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from extract.demo.digits import HELD_OUT, DigitFolders, write_digits
from featurestore.errors import MissingError

if TYPE_CHECKING:
    from pathlib import Path

SEVEN = {f"digit-{digit}" for digit in range(10) if digit not in HELD_OUT}
THREE = {f"digit-{digit}" for digit in HELD_OUT}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> DigitFolders:
    return write_digits(tmp_path_factory.mktemp("digits"))


def images_of(folder: Path) -> set[str]:
    return {f"{path.parent.name}/{path.name}" for path in folder.rglob("*.png")}


def state_of(folder: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*")}


def test_folders_have_the_classes_of_their_role(folders: DigitFolders) -> None:
    """Fit and ID hold the seven digits, near-OOD the other three, pretraining all."""
    classes = {
        name: {path.name for path in getattr(folders, name).iterdir()} for name in ("pretrain", "fit", "id", "near_ood")
    }
    assert classes == {"pretrain": SEVEN | THREE, "fit": SEVEN, "id": SEVEN, "near_ood": THREE}
    assert folders.near_ood.name == "near-ood"


def test_every_image_is_used_once_in_its_split(folders: DigitFolders) -> None:
    """The splits cover scikit-learn's data and do not overlap; pretraining is the fit images and the rest of the held-out digits."""
    pretrain, near_ood = images_of(folders.pretrain), images_of(folders.near_ood)
    assert len(pretrain | images_of(folders.id) | near_ood) == 1797
    assert len(pretrain) + len(images_of(folders.id)) + len(near_ood) == 1797
    assert {image for image in pretrain if image.split("/")[0] in SEVEN} == images_of(folders.fit)


def test_split_is_stratified(folders: DigitFolders) -> None:
    """Each in-distribution digit has about seventy percent of its images in the fit folder."""
    for name in SEVEN:
        fit, test = (len(list((folder / name).iterdir())) for folder in (folders.fit, folders.id))
        assert fit / (fit + test) == pytest.approx(0.7, abs=0.01)


def test_files_are_the_images_that_their_names_say(folders: DigitFolders) -> None:
    """A file's folder is its image's digit, and its pixels follow the image's brightness."""
    bunch = load_digits()
    for path in sorted(folders.id.rglob("*.png"))[::25]:
        with Image.open(path) as image:
            assert (image.size, image.mode) == ((32, 32), "L")
            shrunk = np.asarray(image.resize((8, 8), Image.Resampling.BOX), dtype=float)
        position = int(path.stem)
        assert path.parent.name == f"digit-{bunch.target[position]}"
        assert np.corrcoef(shrunk.ravel(), bunch.images[position].ravel())[0, 1] > 0.95


def test_second_run_writes_nothing(folders: DigitFolders) -> None:
    """A complete set is left alone, down to the inodes."""
    before = state_of(folders.fit.parent)
    assert write_digits(folders.fit.parent) == folders
    assert state_of(folders.fit.parent) == before


def test_interrupted_run_is_completed_with_the_same_bytes(folders: DigitFolders) -> None:
    """A missing file is written again, identically, and nothing temporary stays."""
    victim = next(iter(folders.near_ood.rglob("*.png")))
    content = victim.read_bytes()
    victim.unlink()
    write_digits(folders.fit.parent)
    assert victim.read_bytes() == content
    assert {path.name for path in folders.fit.parent.iterdir()} == {"pretrain", "fit", "id", "near-ood", ".complete"}


def test_missing_scikit_learn_is_one_clear_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without scikit-learn, the error says what to install."""
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingError, match=r"featurestore\[demo\]"):
        write_digits(tmp_path)


def test_importing_the_demo_is_cheap() -> None:
    """The demo's package loads neither torch nor scikit-learn."""
    program = "import sys, extract.demo; sys.exit(bool({'torch', 'timm', 'sklearn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
