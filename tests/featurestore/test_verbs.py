"""What the commands do, called from Python: the same words, defaults and results."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

import featurestore as fs
from featurestore.cli.datasets import dataset_add
from featurestore.cli.extract import extract
from featurestore.cli.score import score
from tests.extract.conftest import save_tiny
from tests.tiny import ARCHITECTURE, KWARGS, write_images

QUIET: dict[str, Any] = {"say": None, "progress": None}
NETWORK = {name: value for name, value in KWARGS.items() if name != "img_size"}


def _defaults(function: Any) -> dict[str, Any]:
    """Parameters by the names that users type, with their defaults; lists and paths as the simpler of the two forms."""
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        default = parameter.default
        found[name.rstrip("_")] = str(default) if isinstance(default, Path) else default
    return found


@pytest.mark.parametrize(("verb", "command"), [(fs.Lake.extract, extract), (fs.Lake.score, score)])
def test_verbs_have_the_commands_words_and_defaults(verb: Any, command: Any) -> None:
    ours, theirs = _defaults(verb), _defaults(command)
    if "compiling" in theirs:
        theirs["compile"] = theirs.pop("compiling")
    assert ours.keys() - {"self", "say", "progress"} == theirs.keys() - {"lake"}
    assert {name: ours[name] for name in theirs if name != "lake"} == {n: v for n, v in theirs.items() if n != "lake"}


def test_add_dataset_takes_every_option_of_the_command(tmp_path: Path) -> None:
    lake = fs.Lake(tmp_path / "lake")
    images = write_images(tmp_path / "images", {"ant": 2, "bee": 2})
    named = {"name", "path", "role", "benchmark", "group", "format", "from", "classes", "where", "replace", "lake"}
    rest = _defaults(dataset_add).keys() - named
    row = lake.add_dataset("val", images, role="id", say=None, **dict.fromkeys(rest))
    assert (row.samples, row.classes) == (4, 2)
    part = lake.add_dataset("ants", from_="val", classes="ant", role="ood", benchmark="other", say=None)
    assert (part.samples, part.role) == (2, "ood")
    with pytest.raises(fs.InputError, match=r"path.*from_"):
        lake.add_dataset("none", role="id", say=None)
    with pytest.raises(fs.MissingError, match="did you mean 'label_order'"):
        lake.add_dataset("val", images, role="id", say=None, label_ordr="text")


def test_a_study_from_python_alone(tmp_path: Path) -> None:
    """Images to report, without a line of the command; a second time all is there."""
    lake = fs.Lake(tmp_path / "lake")
    classes = {"ant": 6, "bee": 6, "cat": 6}
    lake.add_dataset("fit", write_images(tmp_path / "fit", classes), role="fit", say=None)
    lake.add_dataset("val", write_images(tmp_path / "val", classes, seed=1), role="id", say=None)
    lake.add_dataset("far", write_images(tmp_path / "far", {"x": 5, "y": 5}, seed=2), role="ood", say=None)
    said: list[str] = []
    checkpoint = save_tiny(tmp_path / "tiny.safetensors")
    done = lake.extract(
        checkpoint,
        architecture=ARCHITECTURE,
        model_kwargs=NETWORK,
        crop_pct=1.0,
        workers=0,
        say=said.append,
        progress=None,
    )
    assert done is not None
    assert (done.extracted, done.reused) == (3, 0)
    assert said[0].startswith("datasets: far, fit, val (all of the lake")
    assert lake.score(detector=["msp", "mahalanobis"], **QUIET).scored == 4
    assert lake.score(detector=["msp", "mahalanobis"], **QUIET).scored == 0
    status = lake.status(dataset="far")
    assert set(status.filter(status["stage"] == "activations")["state"]) == {"fresh"}
    assert list(lake.verify(deep=True, progress=None)) == []
    page = lake.report(tmp_path / "out" / "report.html")
    assert "mahalanobis" in page.read_text()


def test_verbs_on_a_lake_that_is_not_there_say_so(tmp_path: Path) -> None:
    lake = fs.Lake(tmp_path / "none")
    for verb in (lake.status, lake.verify, lambda: lake.score(**QUIET), lambda: lake.extract("resnet18", **QUIET)):
        with pytest.raises(fs.MissingError, match="There is no lake at"):
            verb()
    with pytest.raises(fs.MissingError, match=r"no metrics|There is no lake"):
        lake.report(tmp_path / "r.html")
    assert not (tmp_path / "none").exists()


def test_a_name_for_many_models_is_a_sentence(tmp_path: Path) -> None:
    lake = fs.Lake(tmp_path / "lake")
    lake.add_dataset("val", write_images(tmp_path / "val", {"ant": 2, "bee": 2}), role="id", say=None)
    with pytest.raises(fs.InputError, match="names one model"):
        lake.extract(["resnet18", "resnet34"], name="mine", **QUIET)
