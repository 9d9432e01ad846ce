"""Models that prepare images in different ways share a pass: each image is read and decoded once, and rows are those of separate jobs."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from extract.datasets import FileReader, add_dataset
from extract.images import loader
from extract.images.loader import ImageDataset, image_batches
from featurestore import InputError, Lake
from featurestore.refusals import about, blamed
from tests.extract.conftest import read, run, save_tiny, tiny_spec
from tests.extract.job.conftest import interrupted_at
from tests.tiny import KWARGS, tiny_vit

if TYPE_CHECKING:
    from collections.abc import Callable

    from extract.models.spec import ModelSpec


@pytest.fixture
def specs(spec: ModelSpec, tmp_path: Path) -> list[ModelSpec]:
    """Other size, other interpolation, other crop; and one that differs in its mean alone, so that it takes the same pixels."""
    large = tiny_spec(
        save_tiny(tmp_path / "large.safetensors", img_size=48), "large", model_kwargs={**KWARGS, "img_size": 48}
    )
    stated: dict[str, dict[str, Any]] = {
        "bilinear": {"interpolation": "bilinear"},
        "squashed": {"crop_mode": "squash", "crop_pct": 0.5},
        "brighter": {"mean": (0.1, 0.2, 0.3)},
    }
    others = [dataclasses.replace(spec, name=name, preprocess=fields) for name, fields in stated.items()]
    return [spec, large, *others]


@pytest.fixture
def photographs(images: Path) -> Path:
    """Images of several sizes among the others, of which one is cut and one no image at all."""
    generator = np.random.default_rng(3)
    for number, (height, width) in enumerate([(60, 90), (120, 41), (200, 200), (33, 34)]):
        file = images / "ant" / f"{number}.jpg"
        Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(file)
    cut = images / "ant" / "2.jpg"
    cut.write_bytes(cut.read_bytes()[:700])
    (images / "cat" / "000.png").write_bytes(b"nothing")
    return images


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Grows with each image that this process decodes."""
    calls: list[Any] = []
    original: Callable[..., Any] = loader.read_rgb
    monkeypatch.setattr(loader, "read_rgb", lambda *given: calls.append(given) or original(*given))
    return calls


def tables(lake: Lake) -> dict[str, bytes]:
    """All rows, as they lie on the disk."""
    root = Path(lake.location)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.parquet")}


@pytest.mark.parametrize("workers", [0, 2])
def test_one_job_writes_the_bytes_of_separate_jobs_and_decodes_each_image_once(
    lake: Lake, tmp_path: Path, photographs: Path, specs: list[ModelSpec], decoded: list[Any], workers: int
) -> None:
    """Features, failures, models, heads and digests, and all fingerprints, which are in the names."""
    apart = Lake(tmp_path / "apart")
    for each in (lake, apart):
        add_dataset(each, "val", photographs, role="id")
    assert [run(apart, spec).failed for spec in specs] == [2] * len(specs)
    assert len(decoded) == 19 * len(specs)
    decoded.clear()
    summary = run(lake, *specs, workers=workers)
    assert (summary.extracted, summary.failed) == (len(specs), 2 * len(specs))
    assert len(decoded) == (0 if workers else 19)
    assert tables(lake) == tables(apart)
    assert len({spec.way for spec in specs}) == len(specs) - 1


def test_what_is_there_is_not_prepared_again(
    val: Lake, other: Lake, specs: list[ModelSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a model whose job was killed, the first fragment; of another one, all."""
    tiny, large, bilinear, *_ = specs
    for spec in (tiny, large, bilinear):
        run(other, spec)
    run(val, bilinear)
    interrupted_at(monkeypatch, 4)
    with pytest.raises(KeyboardInterrupt):
        run(val, tiny)
    sides: list[int] = []
    prepared: Callable[..., Any] = loader._prepared

    def noting(*given: Any) -> Any:
        made = prepared(*given)
        sides.append(made.shape[-1])
        return made

    monkeypatch.setattr(loader, "_prepared", noting)
    assert (run(val, tiny, large, bilinear).extracted, sides.count(32), sides.count(48)) == (2, 9, 15)
    assert tables(val) == tables(other)


def test_trouble_of_one_way_is_no_other_s(tmp_path: Path, val: Lake, specs: list[ModelSpec], monkeypatch: Any) -> None:
    def fails(image: Image.Image) -> torch.Tensor:
        if image.width == 20:
            raise MemoryError("no room for it")
        return torch.zeros(3, 1, 1, dtype=torch.uint8)

    for name, width in (("a.png", 30), ("b.png", 20)):
        Image.new("RGB", (width, 20)).save(tmp_path / name)
    ways = {"fails": fails, "fine": lambda _: torch.ones(3, 2, 2)}
    (batch,) = image_batches(
        ImageDataset(FileReader(tmp_path), ["a.png", "b.png"], ways), [[0, 1]], workers=0, pin=False
    )
    assert (batch.by_way["fails"].samples, batch.by_way["fine"].samples) == ([0], [0, 1])
    assert batch.by_way["fails"].errors == [(1, "MemoryError: no room for it")]

    original: Callable[..., Any] = loader._prepared
    calls: list[int] = []

    def seventh(*given: Any) -> Any:
        made = original(*given)
        calls.append(made.shape[-1])
        return "MemoryError" if made.shape[-1] == 48 and calls.count(48) == 7 else made

    monkeypatch.setattr(loader, "_prepared", seventh)
    assert run(val, *specs[:2]).failed == 1
    assert val.sql("select model, sample from failures").fetchall() == [("large", 6)]
    assert [len(read(val, name)[0]) for name in ("tiny", "large")] == [15, 14]
    np.testing.assert_array_equal(read(val, "large")[0], np.delete(np.arange(15), 6))


def test_a_model_that_fails_is_set_aside_and_the_others_share_their_pass(
    val: Lake, tmp_path: Path, specs: list[ModelSpec], decoded: list[Any]
) -> None:
    state = tiny_vit().state_dict()
    state["norm.weight"] *= torch.nan
    save_file(state, tmp_path / "broken.safetensors")
    broken = tiny_spec(tmp_path / "broken.safetensors", "broken")
    summary = run(val, specs[0], broken, *specs[1:])
    assert (summary.extracted, len(decoded)) == (len(specs), 15)
    assert "weights are broken" in summary.refused["broken on val"]


def test_an_error_tells_its_model_in_another_process() -> None:
    with pytest.raises(InputError) as raised, about("inner"):
        raise InputError("cannot be loaded")
    with pytest.raises(InputError) as again, about("outer"):
        raise pickle.loads(pickle.dumps(raised.value))
    assert (blamed(again.value), str(again.value)) == ("inner", "cannot be loaded")
    assert blamed(InputError("of all")) is None
