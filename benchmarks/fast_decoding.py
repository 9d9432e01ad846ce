"""What `--decode fast` saves and changes: real weights on real photographs, which are made larger, since small ones are decoded whole."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from benchmarks.surroundings import Clock
from extract.datasets import FileReader, add_dataset
from extract.images.loader import ImageDataset
from extract.job import Options, run_job
from extract.models import ModelSpec
from featurestore import Lake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from benchmarks.record import Record

KEYS = Path(__file__).parents[1] / "docs" / "key-maps" / "efficientnet-lite0.csv"
SHORTER = (520, 1400)
"""Pixels of the shorter side, from a few that can just be halved up to those of a camera."""
NEAR = 10


def enlarged(archive: Path, folder: Path, count: int, seed: int) -> Path:
    """Photographs of a tar, every so many of them, as JPEG files of many sizes."""
    folder.mkdir()
    sizes = np.random.default_rng(seed)
    with tarfile.open(archive) as tar:
        members = [
            member for member in tar if member.isfile() and member.name.lower().endswith((".jpeg", ".jpg", ".png"))
        ]
        for number, member in enumerate(members[:: max(1, len(members) // count)][:count]):
            file = tar.extractfile(member)
            assert file is not None
            image = Image.open(io.BytesIO(file.read())).convert("RGB")
            scale = sizes.integers(*SHORTER) / min(image.size)
            sides = (round(image.width * scale), round(image.height * scale))
            image.resize(sides, Image.Resampling.BICUBIC).save(folder / f"{number:04d}.jpg", quality=92)
    return folder


def models(weights: Path) -> list[ModelSpec]:
    """The network of those weights, which takes 224 pixels, twice: with each way of decoding."""
    plain = ModelSpec("exact", "tf_efficientnet_lite0", weights, source="state-dict", key_map=KEYS)
    fast = ModelSpec("fast", "tf_efficientnet_lite0", weights, source="state-dict", key_map=KEYS)
    return [plain, fast.stating({"decode": "fast"}, "stated")]


def bench_fast(record: Record, folder: Path, archives: Sequence[Path], count: int) -> None:
    """Time, features, predictions, and FPR95 of four detectors: photographs of ImageNet are ID, those of CIFAR-10 OOD.

    Args:
        record: Gets the table.
        folder: For photographs and lake.
        archives: ID and OOD photographs.
        count: Of each.
    """
    title = f"`--decode fast`, {count} photographs of ImageNet and {count} of CIFAR-10, enlarged to {SHORTER[0]} to {SHORTER[1]} pixels"
    if "REAL_WEIGHTS" not in os.environ or not all(archive.is_file() for archive in archives):
        with record.table(title) as table:
            table.absent(
                "features", "no weights here: `make test-real` installs them, and REAL_WEIGHTS is their folder"
            )
        return
    (weights,) = Path(os.environ["REAL_WEIGHTS"]).resolve().rglob("efficientnet-lite0-*.pth")
    specs, lake = models(weights), Lake(tempfile.mkdtemp(dir=folder))
    for seed, (name, archive) in enumerate(zip(("id", "ood"), archives, strict=True)):
        add_dataset(lake, name, enlarged(archive, folder / name, count, seed), role="ood")
    run_job(lake, specs, ["id", "ood"], Options("cpu", 32, 0), lambda _: None)
    rows = {spec.name: [_rows(lake, spec.name, name) for name in ("id", "ood")] for spec in specs}
    times = {spec.name: _milliseconds(spec, folder / "id") for spec in specs}
    with record.table(title) as table:
        for name, milliseconds in times.items():
            table.add("decode, resize and crop a photograph", milliseconds, column=name, unit="ms")
        (features, logits), (fast, of_fast) = (_joined(rows[spec.name]) for spec in specs)
        moved = np.linalg.norm(fast - features, axis=1) / np.linalg.norm(features, axis=1)
        table.add("distance of features, in their norms: median", [np.median(moved)], column="fast", unit="")
        table.add("distance of features, in their norms: 99 %", [np.quantile(moved, 0.99)], column="fast", unit="")
        same = np.mean(logits.argmax(axis=1) == of_fast.argmax(axis=1))
        table.add("predictions that stay", [100 * same], column="fast", unit="%")
        for detector, score in DETECTORS.items():
            for spec in specs:
                table.add(f"FPR95 of {detector}", [_fpr95(score, *rows[spec.name])], column=spec.name, unit="%")


def _milliseconds(spec: ModelSpec, folder: Path) -> list[float]:
    paths = sorted(path.name for path in folder.iterdir())[:40]
    images, found = ImageDataset(FileReader(folder), paths, {spec.way: spec.preparation().of_image}), []
    for _ in range(3):
        clock = Clock()
        for sample in range(len(paths)):
            images[sample]
        found.append(1e3 * clock.used() / len(paths))
    return found


def _rows(lake: Lake, model: str, dataset: str) -> tuple[NDArray[Any], NDArray[Any]]:
    return _joined(list(lake.batches(model=model, dataset=dataset, columns=("feature", "logits"))))


def _joined(blocks: Sequence[Sequence[NDArray[Any]]]) -> tuple[NDArray[Any], NDArray[Any]]:
    features, logits = (np.concatenate(column).astype(np.float64) for column in zip(*blocks, strict=True))
    return features, logits


def _energy(logits: NDArray[Any]) -> NDArray[Any]:
    largest = logits.max(axis=1)
    return largest + np.log(np.exp(logits - largest[:, None]).sum(axis=1))


def _near(features: NDArray[Any], bank: NDArray[Any]) -> NDArray[Any]:
    """Cosine to the tenth nearest of the bank."""
    units, others = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (features, bank))
    return np.sort(units @ others.T, axis=1)[:, -NEAR]


DETECTORS: dict[str, Any] = {
    "MSP": lambda _feature, logits, _bank: logits.max(axis=1) - _energy(logits),
    "max logit": lambda _feature, logits, _bank: logits.max(axis=1),
    "energy": lambda _feature, logits, _bank: _energy(logits),
    "KNN, of half of the ID ones": lambda feature, _logits, bank: _near(feature, bank),
}


def _fpr95(score: Any, inside: Sequence[NDArray[Any]], outside: Sequence[NDArray[Any]]) -> float:
    """Per cent of the OOD ones at or above the 5 % quantile of the ID ones; every second ID one is of the bank, and not judged."""
    bank, tested = inside[0][::2], [each[1::2] for each in inside]
    threshold = np.quantile(score(*tested, bank), 0.05)
    return float(100 * np.mean(score(*outside, bank) >= threshold))
