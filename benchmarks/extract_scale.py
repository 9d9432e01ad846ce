"""Extraction of very many images: the memory that it takes, and how soon it begins. The images are tiny."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import timm
from PIL import Image
from safetensors.torch import save_file

from benchmarks.measure import command, measure, python
from extract.datasets import add_dataset
from extract.job import Options, run_job
from extract.models import ModelSpec
from featurestore import Lake

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.record import Record

ARCHITECTURE = "vit_tiny_patch16_224"
NETWORK = {"img_size": 32, "patch_size": 16, "embed_dim": 24, "depth": 1, "num_heads": 2, "num_classes": 1000}
PER_CLASS, FRAGMENT_ROWS = 1_000, 1_024
STOPWATCH = """
import os, sys
from extract.datasets.formats import FileReader
FileReader.open = lambda *_: os._exit(0)
sys.argv = ["featurestore", *sys.argv[1:]]
from featurestore.cli.app import main
main()
"""


def make_list(folder: Path, name: str, count: int) -> Path:
    """A file list of that many images in folders of a thousand; the images of a class are links to one file."""
    root = folder / name
    root.mkdir()
    generator = np.random.default_rng(0)
    with (root / "list.csv").open("w") as rows:
        rows.write("image_location,class\n")
        for start in range(0, count, PER_CLASS):
            class_ = f"n{start // PER_CLASS:08d}"
            (root / class_).mkdir()
            first = root / class_ / f"{class_}_0.jpg"
            Image.fromarray(generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(first)
            for number in range(1, min(PER_CLASS, count - start)):
                os.link(first, root / class_ / f"{class_}_{number}.jpg")
            rows.writelines(
                f"{class_}/{class_}_{number}.jpg,{class_}\n" for number in range(min(PER_CLASS, count - start))
            )
    return root / "list.csv"


def make_checkpoint(folder: Path) -> Path:
    """A network that costs next to nothing."""
    path = folder / "tiny.safetensors"
    save_file(timm.create_model(ARCHITECTURE, **NETWORK).state_dict(), path)
    return path


def bench_memory(record: Record, folder: Path, held: int) -> None:
    """The peak of the job's own process at some number of images, and at four times as many."""
    checkpoint = make_checkpoint(folder)
    lake = Lake(folder / "memory")
    with record.table(f"A job's process over its imports, fragments of {FRAGMENT_ROWS:,} rows") as table:
        for count in (held, 4 * held):
            add_dataset(lake, f"d{count}", make_list(folder, f"images{count}", count), role="ood", format_="csv")
            found = measure(_extract, lake.location, str(checkpoint), f"d{count}")
            table.runs(f"{count:,} images", [found])


def _extract(location: str, checkpoint: str, dataset: str) -> None:
    from pathlib import Path

    spec = ModelSpec(f"tiny-{dataset}", ARCHITECTURE, Path(checkpoint), NETWORK)
    options = Options("cpu", 64, 2, fragment_rows=FRAGMENT_ROWS)
    run_job(Lake(location), [spec], [dataset], options, lambda _: None)


def bench_million(record: Record, folder: Path, count: int, rounds: int) -> None:
    """From the start of `featurestore extract` to the first image that it opens, as a list and as a folder."""
    checkpoint, lake = make_checkpoint(folder), str(folder / "million")
    few, many = make_list(folder, "few", 10), make_list(folder, "many", count)
    network = [text for name, value in NETWORK.items() for text in ("--model-kwargs", f"{name}={value}")]
    with record.table("From the start of `featurestore extract` to the first image") as table:
        for name, location, format_ in (("few", few, "csv"), ("list", many, "csv"), ("folder", many.parent, "folder")):
            named = ["--role", "ood", "--format", format_, "--lake", lake]
            registered = command("dataset", "add", name, location, *named)
            extraction = ["--model", str(checkpoint), "--architecture", ARCHITECTURE, *network, "--dataset", name]
            rest = ["--device", "cpu", "--workers", "0", "--lake", lake]
            begun = [python("-c", STOPWATCH, "extract", *extraction, *rest) for _ in range(rounds)]
            what = "10 samples: imports and little else" if name == "few" else f"{count:,} samples as a {name}"
            table.runs(what, begun, most=10)
            table.add(what, [registered.seconds], column="`dataset add`")
