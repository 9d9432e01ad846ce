"""Extraction on the CPU, beside loops over the same photographs in the same process; models are loaded beforehand on every side.

The floor of a job is a bare loop: the same loader, the same forward pass, and results thrown away. The peer is timm's own loader and
`forward_features` loop, which keeps what a job stores. The floor of several models in one job is one decode and the forward passes of all from memory.
Then how soon a job of very many images begins, from the start of the command to the first image that it opens; and the memory that a job
takes, which does not grow with the images but by what allocators keep of freed blocks.

python -m benchmarks.extract [--images FOLDER_OR_TAR] [--count 384] [--workers 2] [--rounds 3] [--only one,four,memory,million]
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

from benchmarks.extract_scale import bench_memory, bench_million
from benchmarks.measure import in_turns
from benchmarks.record import Record, arguments
from extract.datasets import add_dataset, read_dataset, read_listing
from extract.images.loader import ImageDataset, image_batches
from extract.job import Options, batches_of, run_job
from extract.models import LoadedModel, ModelSpec
from featurestore import Lake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PHOTOGRAPHS = Path(__file__).parents[2] / "shared" / "data" / "imagenet_sample.tar"
BATCH, MODELS = 32, 4


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
    """One dataset, some models of one architecture, and the loops to compare."""

    def __init__(self, folder: Path, images: Path, architecture: str, models: int, given: argparse.Namespace) -> None:
        self.folder, self.images, self.architecture = folder, images, architecture
        self.workers, self.rounds = given.workers, given.rounds
        self.options = Options("cpu", BATCH, self.workers, dtype="float32")
        self.specs = [self._spec(seed) for seed in range(models)]
        lake, _ = self.job(self.specs)  # afterwards the job's models stay loaded in this process, and files are cached
        self.listing = read_listing(lake, "photographs")
        self.reader = read_dataset(lake, "photographs").reader
        self.models = [LoadedModel(spec, torch.device("cpu")) for spec in self.specs]
        self.module = self.specs[0].load_module()

    def _spec(self, seed: int) -> ModelSpec:
        torch.manual_seed(seed)
        path = self.folder / f"{self.architecture}{seed}.safetensors"
        save_file(timm.create_model(self.architecture).state_dict(), path)
        return ModelSpec(f"model{seed}", self.architecture, path)

    def job(self, specs: Sequence[ModelSpec]) -> tuple[Lake, float]:
        """Extraction as users run it, into a lake of its own."""
        lake = Lake(tempfile.mkdtemp(dir=self.folder))
        add_dataset(lake, "photographs", self.images, role="ood")
        return lake, seconds_of(lambda: run_job(lake, specs, ["photographs"], self.options, lambda _: None))

    def batches(self) -> Any:
        """The same loader that extraction uses."""
        data = ImageDataset(
            self.reader, self.listing.paths, {spec.way: spec.preparation().of_image for spec in self.specs}
        )
        return image_batches(data, batches_of([range(len(self.listing))], BATCH), workers=self.workers, pin=False)

    def bare(self) -> float:
        """The same loader, the same forward pass; results thrown away."""
        return seconds_of(lambda: [self.models[0](batch.only.images) is None for batch in self.batches()])

    def decode(self) -> float:
        """Only the loader."""
        return seconds_of(lambda: [None for _ in self.batches()])

    def forward(self) -> float:
        """Only the forward passes of all models, from memory."""
        held = [batch.only.images for batch in self.batches()]
        return seconds_of(lambda: [model(images) is None for model in self.models for images in held])

    def timm(self) -> tuple[np.ndarray, float]:
        """The library's own loader and loop, on the same images in the same order."""
        config = resolve_data_config({}, model=self.module, use_test_size=True)
        names = ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode")
        rows: list[np.ndarray] = []

        def loop() -> None:
            loader = create_loader(
                TimmImages(str(self.images)),
                batch_size=BATCH,
                use_prefetcher=False,
                num_workers=self.workers,
                device=torch.device("cpu"),
                persistent_workers=False,
                **{name: config[name] for name in names},
            )
            with torch.inference_mode():
                for images, _ in loader:
                    tokens = self.module.forward_features(images)
                    rows.append(self.module.forward_head(tokens, pre_logits=True).numpy())

        seconds = seconds_of(loop)
        return np.concatenate(rows), seconds


def bench_one(record: Record, bench: Bench) -> None:
    """One model: a bare loop, a job, and timm's own loop."""
    given: dict[str, Any] = {}

    def job() -> float:
        given["lake"], seconds = bench.job(bench.specs)
        return seconds

    def library() -> float:
        given["features"], seconds = bench.timm()
        return seconds

    floor, peer = "floor: bare loop, results thrown away", "timm's loader and loop"
    taken = in_turns(bench.rounds, **{floor: bench.bare, "job": job, peer: library})
    blocks = given["lake"].batches(model="model0", dataset="photographs", columns=("feature",))
    difference = np.abs(np.concatenate([block[0] for block in blocks]) - given["features"]).max()
    with record.table(f"One {bench.architecture}, {_setting(bench)}") as table:
        for name, seconds in taken.items():
            table.add(name, seconds)
        table.ratio("job", floor, column="the job's rate to the floor's", inverse=True, least=0.95)
        table.ratio("job", peer, column="to timm's", inverse=True, least=1)
        table.text.append(f"The largest difference of a feature from timm's is {difference:.1e}.")


def bench_four(record: Record, bench: Bench) -> None:
    """Several models: one job, several jobs, and the least that it can take."""
    floor, together, apart = "floor: one decode, all forward passes", "one job", "as many jobs, one after the other"
    works = {
        floor: lambda: bench.decode() + bench.forward(),
        together: lambda: bench.job(bench.specs)[1],
        apart: lambda: sum(bench.job([spec])[1] for spec in bench.specs),
    }
    taken = in_turns(bench.rounds, **works)
    with record.table(f"{len(bench.specs)} {bench.architecture}, {_setting(bench)}") as table:
        for name, seconds in taken.items():
            table.add(name, seconds)
        table.ratio(together, floor, column="of the floor's time", most=1.1)
        table.ratio(apart, together, column="of one job's time")


def _setting(bench: Bench) -> str:
    return f"{len(bench.listing)} photographs, {bench.workers} workers, batches of {BATCH}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, default=PHOTOGRAPHS)
    parser.add_argument("--architecture", default="vit_tiny_patch16_224", help="of the one model")
    parser.add_argument("--four", default="mobilenetv3_small_100", help="of the four: light, so that decoding counts")
    parser.add_argument("--count", type=int, default=384)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--listed", type=int, default=1_000_000, help="samples of the long list")
    parser.add_argument("--held", type=int, default=2_000, help="images of the job whose memory is measured")
    parser.add_argument("--only", default="one,four,memory,million")
    options = arguments(parser, count=40, rounds=1, listed=2_000, held=400)
    record, only = Record("extract", options), set(options.only.split(","))
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).absolute()
        if only & {"one", "four"}:
            images = make_images(options.images, folder, options.count)
        if "one" in only:
            bench_one(record, Bench(folder, images, options.architecture, 1, options))
        if "four" in only:
            bench_four(record, Bench(folder, images, options.four, MODELS, options))
        if "memory" in only:
            bench_memory(record, folder, options.held)
        if "million" in only:
            bench_million(record, folder, options.listed, options.rounds)
    record.close()


if __name__ == "__main__":
    main()
