"""Metrics of every detector from a lake that stores float16, beside one that stores float32, of real photographs.

A small ViT is trained on the last six classes of CIFAR-10; the first four are OOD. Few epochs are a hard case: the last LayerNorm is nearly
the one that training began with, and nearly all features have the same norm. [Scoring](make/scoring.md#precision) says why some detectors change,
and why float32 is the default.

python -m benchmarks.precision [--images cifar10_subset.tar] [--models vit] [--epochs 6] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from benchmarks.record import Record, arguments
from featurestore import Lake

if TYPE_CHECKING:
    from collections.abc import Sequence

PHOTOGRAPHS = Path(__file__).parents[2] / "shared" / "data" / "cifar10_subset.tar"
OOD_CLASSES, ID_CLASSES = 4, 6
VIT = {"img_size": 32, "embed_dim": 128, "depth": 4, "num_heads": 4, "num_classes": ID_CLASSES}
MODELS = {
    "vit": ("vit_tiny_r_s16_p8_224", {**VIT, "patch_size": 2}),
    "vit-token": ("vit_tiny_patch16_224", {**VIT, "patch_size": 8}),
    "vit-average": ("vit_tiny_patch16_224", {**VIT, "patch_size": 8, "class_token": False, "global_pool": "avg"}),
}
BATCH, MARGIN = 128, 4
NEGLIGIBLE = 0.005
"""Points of AUROC that are not told."""


def split(source: Path, folder: Path, per_class: int) -> None:
    """Folders `fit`, `id` and `ood`, a subfolder per class; of each class so many images of each part, or all."""
    with tarfile.open(source) as archive:
        archive.extractall(folder / "tar", filter="data")
    (root,) = (folder / "tar").iterdir()
    classes = sorted(path.name for path in (root / "train").iterdir())
    for number, name in enumerate(classes):
        for part in ("train", "test"):
            role = ("fit" if part == "train" else "id") if number >= OOD_CLASSES else "ood"
            (folder / role / name).mkdir(parents=True, exist_ok=True)
            for image in sorted((root / part / name).iterdir())[: per_class or None]:
                image.rename(folder / role / name / f"{part[1]}-{image.name}")  # not as if they were splits


def pixels(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Images scaled as timm's default for ViTs does, [n, 3, 32, 32], and their labels."""
    images, labels = [], []
    for number, name in enumerate(sorted(path.name for path in folder.iterdir())):
        for path in sorted((folder / name).iterdir()):
            with Image.open(path) as image:
                images.append(np.asarray(image.convert("RGB")))
            labels.append(number)
    scaled = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    return (scaled - 0.5) / 0.5, torch.tensor(labels)


def train(name: str, images: torch.Tensor, labels: torch.Tensor, epochs: int) -> dict[str, torch.Tensor]:
    """Passes of AdamW over shifted and mirrored images; returns the weights."""
    torch.manual_seed(0)
    architecture, arguments = MODELS[name]
    model = timm.create_model(architecture, **arguments)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.05)
    steps = epochs * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps)
    for _ in range(steps):
        chosen = torch.randint(len(images), (BATCH,))
        loss = torch.nn.functional.cross_entropy(model(moved(images[chosen])), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    print(f"  {name}: last loss {loss.item():.2f}", flush=True)
    return model.state_dict()


def moved(images: torch.Tensor) -> torch.Tensor:
    """Images shifted by up to `MARGIN` pixels each way, every other one of them mirrored."""
    wide = torch.nn.functional.pad(images, (MARGIN, MARGIN, MARGIN, MARGIN))
    height, width = images.shape[2:]
    corners = torch.randint(2 * MARGIN + 1, (len(images), 2)).tolist()
    shifted = [image[:, y : y + height, x : x + width] for image, (y, x) in zip(wide, corners, strict=True)]
    return torch.stack([image.flip(2) if number % 2 else image for number, image in enumerate(shifted)])


def command(*arguments: object) -> None:
    """Run one `featurestore` command."""
    done = subprocess.run(
        [sys.executable, "-m", "featurestore", *map(str, arguments)], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"featurestore {arguments[0]} failed: {done.stderr}")


def make_lake(folder: Path, models: Sequence[str], dtype: str) -> Lake:
    """The whole job in one stored precision, with every detector there is."""
    lake = folder / f"lake-{dtype}"
    for role in ("fit", "id", "ood"):
        command("dataset", "add", role, folder / role, "--role", role, "--lake", lake)
    for name in models:
        architecture, arguments = MODELS[name]
        kwargs = [text for key, value in arguments.items() for text in ("--model-kwargs", f"{key}={value}")]
        command(
            *("extract", "--model", folder / f"{name}.safetensors", "--architecture", architecture, *kwargs),
            *("--dataset", "fit", "--dataset", "id", "--dataset", "ood", "--dtype", dtype, "--lake", lake),
        )
    command("score", "--detector", "all", "--lake", lake)
    return Lake(lake)


def main() -> None:
    """Train, extract twice, score twice, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, default=PHOTOGRAPHS)
    parser.add_argument("--models", default="vit", help=f"Which of {', '.join(MODELS)}.")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument(
        "--per-class", type=int, default=0, help="take so few images of each class of each part; 0: all"
    )
    parser.add_argument("--keep", type=Path, help="Where to keep the lakes.")
    options = arguments(parser, epochs=1, per_class=40)
    if not options.images.exists():
        raise SystemExit(
            f"There are no photographs at {options.images}: name a tar of CIFAR-10's folders with --images."
        )
    record = Record("precision", options)
    folder = options.keep or Path(tempfile.mkdtemp(dir="."))
    try:
        if not (folder / "fit").exists():
            split(options.images, folder, options.per_class)
        images, labels = pixels(folder / "fit")
        models = options.models.split(",")
        for name in models:
            if not (folder / f"{name}.safetensors").exists():
                save_file(train(name, images, labels, options.epochs), folder / f"{name}.safetensors")
        compare(record, *(make_lake(folder, models, dtype) for dtype in ("float16", "float32")))
    finally:
        if not options.keep:
            shutil.rmtree(folder)


def compare(record: Record, half: Lake, single: Lake) -> None:
    """Differences of the aggregated metrics, in percentage points, by detector."""
    key = ["model", "detector", "ood_dataset", "aggregation"]
    query = f"select {', '.join(key)}, fpr95, auroc from metrics where aggregation <> 'class'"
    both = half.sql(query).pl().join(single.sql(query).pl(), on=key, suffix="_single")
    changes = both.with_columns(
        fpr95_change=(pl.col("fpr95") - pl.col("fpr95_single")).abs() * 100,
        auroc_change=(pl.col("auroc") - pl.col("auroc_single")).abs() * 100,
    ).group_by("model", "detector")
    largest = changes.agg(pl.max("fpr95_change", "auroc_change")).sort("fpr95_change", "auroc_change", descending=True)
    for model, n, top1 in half.sql(
        "select model, n, top1 from accuracy where dataset = 'id' order by model"
    ).fetchall():
        found = largest.filter(pl.col("model") == model)
        told = found.filter((pl.col("fpr95_change") > 0) | (pl.col("auroc_change") > NEGLIGIBLE))
        with record.table(
            f"{model}: accuracy {top1:.0%} of {n:,}; the largest change of each detector, in points"
        ) as table:
            for row in told.iter_rows(named=True):
                for name in ("fpr95", "auroc"):
                    table.add(row["detector"], [row[f"{name}_change"]], unit="", column=name)
            rest = f"the other {len(found) - len(told)} of {len(found)}"
            table.absent(rest, "none", column="fpr95")
            table.absent(rest, f"at most {NEGLIGIBLE}", column="auroc")
    record.close()


if __name__ == "__main__":
    main()
