"""Extraction, as ratios against loops measured in the same run: images decoded, networks run, nothing stored.

python -m benchmarks.extract [--images FOLDER_OR_TAR] [--architecture vit_tiny_patch16_224] [--count 400] [--workers 2]
"""

from __future__ import annotations

import argparse
import tarfile
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_loader, resolve_data_config
from timm.data.dataset import ImageDataset as TimmImages

from extract.datasets import add_dataset, read_dataset
from extract.datasets.register import read_listing
from extract.images import ImageDataset, image_batches
from extract.job import run
from extract.models import LoadedModel, ModelSpec
from extract.plan import Options, batches_of
from featurestore import Lake

if TYPE_CHECKING:
    from collections.abc import Callable

PHOTOGRAPHS = Path(__file__).parents[2] / "shared" / "data" / "imagenet_sample.tar"
BATCH, RUNS = 32, 3


def make_images(source: Path | None, folder: Path, count: int) -> Path:
    """A folder of photographs: those of a tar, or made ones of the same size where there is none."""
    root = folder / "images"
    if source and source.is_file():
        with tarfile.open(source) as archive:
            members = [member for member in archive if member.isfile()][:count]
            archive.extractall(folder / "tar", members, filter="data")
        (folder / "tar").rename(root)
        return next(path for path in root.iterdir() if path.is_dir())
    generator = np.random.default_rng(0)
    for index in range(count):
        path = root / f"class{index % 10}" / f"{index:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        small = generator.integers(0, 256, (32, 42, 3), dtype=np.uint8)
        Image.fromarray(small).resize((340, 256), Image.Resampling.BICUBIC).save(path, quality=90)
    return root


def seconds_of(work: Callable[[], Any]) -> float:
    """Wall time of one run."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


class Bench:
    """One dataset, some models, and the loops to compare."""

    def __init__(self, folder: Path, images: Path, architecture: str, workers: int) -> None:
        self.folder, self.images, self.workers, self.architecture = folder, images, workers, architecture
        self.options = Options("cpu", BATCH, workers, dtype="float32")
        self.specs = [self._spec(seed) for seed in range(4)]
        lake = self._lake()
        self.listing = read_listing(lake, "photographs")
        self.reader = read_dataset(lake, "photographs").reader
        self.models = [LoadedModel(spec, torch.device("cpu")) for spec in self.specs]

    def _spec(self, seed: int) -> ModelSpec:
        torch.manual_seed(seed)
        path = self.folder / f"model{seed}.safetensors"
        save_file(timm.create_model(self.architecture).state_dict(), path)
        return ModelSpec(f"model{seed}", self.architecture, path)

    def _lake(self) -> Lake:
        lake = Lake(tempfile.mkdtemp(dir=self.folder))
        add_dataset(lake, "photographs", self.images, role="ood")
        return lake

    def batches(self) -> Any:
        """The same loader that extraction uses."""
        data = ImageDataset(self.reader, self.listing.paths, self.specs[0].transform())
        return image_batches(data, batches_of([range(len(self.listing))], BATCH), workers=self.workers, pin=False)

    def job(self, models: int) -> tuple[float, Lake]:
        """Extraction as users run it, loading of models included."""
        lake = self._lake()
        return seconds_of(lambda: run(lake, self.specs[:models], ["photographs"], self.options, lambda _: None)), lake

    def bare(self) -> float:
        """Loading of the model, the same loader, the same forward pass; results thrown away."""

        def loop() -> None:
            model = LoadedModel(self.specs[0], torch.device("cpu"))
            for batch in self.batches():
                model(batch.images)

        return seconds_of(loop)

    def decode(self) -> float:
        """Only the loader."""
        return seconds_of(lambda: [None for _ in self.batches()])

    def forward(self, models: int) -> float:
        """Loading of models, and only their forward passes, from memory."""
        held = [batch.images for batch in self.batches()]

        def loop() -> None:
            for model in [LoadedModel(spec, torch.device("cpu")) for spec in self.specs[:models]]:
                for images in held:
                    model(images)

        return seconds_of(loop)

    def timm(self) -> tuple[float, np.ndarray]:
        """The library's own loader and loop, on the same images in the same order."""
        module = self.specs[0].load_module()
        config = resolve_data_config({}, model=module, use_test_size=True)
        rows: list[np.ndarray] = []

        def loop() -> None:
            loader = create_loader(
                TimmImages(str(self.images)),
                batch_size=BATCH,
                use_prefetcher=False,
                num_workers=self.workers,
                device=torch.device("cpu"),
                persistent_workers=False,
                **{
                    name: config[name]
                    for name in ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode")
                },
            )
            with torch.inference_mode():
                for images, _ in loader:
                    rows.append(module.forward_head(module.forward_features(images), pre_logits=True).numpy())

        seconds = seconds_of(loop)
        return seconds, np.concatenate(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, default=PHOTOGRAPHS)
    parser.add_argument("--architecture", default="vit_tiny_patch16_224")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        bench = Bench(folder, make_images(options.images, folder, options.count), options.architecture, options.workers)
        report(bench)


def report(bench: Bench) -> None:
    """Ratios, each of the best of several runs; the runs of what is compared alternate."""
    count = len(bench.listing)
    print(f"{count} images, {bench.architecture}, {bench.workers} workers, batches of {BATCH}, best of {RUNS}:")
    one, bare, library = [], [], []
    lake, features = None, np.empty(0)
    for _ in range(RUNS):
        bare.append(bench.bare())
        seconds, lake = bench.job(1)
        one.append(seconds)
        seconds, features = bench.timm()
        library.append(seconds)
    print(
        f"  one model: bare loop {min(bare):.2f} s, job {min(one):.2f} s = {min(bare) / min(one):.2f}x of the bare rate"
    )
    assert lake is not None
    stored = np.concatenate(
        [block[0] for block in lake.batches(model="model0", dataset="photographs", columns=("feature",))]
    )
    difference = np.abs(stored - features).max()
    print(
        f"  timm's loader and loop {min(library):.2f} s = {min(library) / min(one):.2f}x of the job's time; largest difference of a feature {difference:.1e}"
    )
    four, floor, decode = [], [], []
    for _ in range(RUNS):
        decode.append(bench.decode())
        floor.append(bench.forward(4))
        four.append(bench.job(4)[0])
    together = min(decode) + min(floor)
    separate = 4 * min(one)
    print(
        f"  four models in one job {min(four):.2f} s; one decode {min(decode):.2f} s + four forwards {min(floor):.2f} s = {together:.2f} s: {min(four) / together:.2f}x"
    )
    print(f"  four separate jobs {separate:.2f} s = {separate / min(four):.2f}x of one job's time")


if __name__ == "__main__":
    main()
