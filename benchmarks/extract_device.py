"""A job fed from memory beside the bare forward pass of the same network: what the loop, the copies and the writing cost.

The network and the loop are those of a user's job; only files and decoding are left out, since images lie in memory as the bytes that workers
hand over. The bare side runs the same network over one batch that lies on the device already, and throws its results away. On a GPU
this is ViT-B/16 at 224 in bfloat16. Where there is none, `make bench` passes it over; by hand it runs on the CPU with a small network, which says
nothing about a GPU, and is not recorded.

python -m benchmarks.extract_device [--architecture NAME] [--images 51200] [--batch 256] [--amp bf16] [--rounds 3]
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import timm
import torch
from safetensors.torch import save_file

from benchmarks.measure import in_turns
from benchmarks.record import Record, arguments
from extract.datasets import DatasetRow, Listing
from extract.images.loader import ImageDataset, Item
from extract.job.loop import FragmentMaker, extract_fragments
from extract.job.plan import Options, Task, activations_target
from extract.job.summary import Times
from extract.models import LoadedModel, ModelSpec
from featurestore import Lake
from featurestore.partitions import writing

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

HELD = 2_048


@dataclass(frozen=True)
class Setting:
    """What to run, and on what."""

    device: torch.device
    architecture: str
    images: int
    batch: int
    amp: str

    @classmethod
    def here(cls, architecture: str | None, images: int | None, batch: int | None, amp: str | None) -> Setting:
        """The goal's own where there is a GPU; small things where there is none."""
        gpu = torch.cuda.is_available()
        return cls(
            torch.device("cuda" if gpu else "cpu"),
            architecture or ("vit_base_patch16_224" if gpu else "vit_tiny_patch16_224"),
            images or (51_200 if gpu else 64),
            batch or (256 if gpu else 16),
            amp or ("bf16" if gpu else "off"),  # CPUs without instructions for it crawl in bfloat16
        )

    @property
    def machine(self) -> str:
        """Its name."""
        return torch.cuda.get_device_name() if self.device.type == "cuda" else f"CPU ({platform.machine()})"


class InMemory(ImageDataset):
    """Noise as bytes, of which a few thousand images come again and again."""

    def __init__(self, images: int, spec: ModelSpec) -> None:
        generator = torch.Generator().manual_seed(0)
        self._length, self._way = images, spec.way
        shape = spec.preprocessing["input_size"]
        self._held = torch.randint(0, 256, (min(images, HELD), *shape), dtype=torch.uint8, generator=generator)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, sample: int) -> Item:
        return Item(sample, {self._way: self._held[sample % len(self._held)]}, 0.0, 0.0)

    def __getitems__(self, samples: Sequence[int]) -> list[Item]:
        return [self[sample] for sample in samples]

    def of_ways(self, names: Collection[str]) -> InMemory:
        """Itself: it is prepared in one."""
        assert self._way in names
        return self


def bench_device(record: Record, folder: Path, setting: Setting, rounds: int) -> None:
    """The bare forward pass, and a job that stores what it gives, in turns."""
    checkpoint = folder / "device.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model(setting.architecture).state_dict(), checkpoint)
    spec = ModelSpec("device", setting.architecture, checkpoint)
    model = LoadedModel(spec, setting.device, setting.amp)
    images = InMemory(setting.images, spec)
    floor, job = "floor: bare forward passes", "a job, writing included"
    works = {
        floor: partial(_bare, spec, setting),
        job: partial(_stored, folder, spec, model, images, setting),
    }
    rates = in_turns(rounds + 1, **works)  # the first round warms both up
    what = f"{setting.images:,} images in batches of {setting.batch}"
    with record.table(f"{setting.architecture}, {setting.amp}, {what} from memory, on {setting.machine}") as table:
        for name, of in rates.items():
            table.add(name, of[1:], unit="images/s", column="rate")
        least = 0.9 if setting.device.type == "cuda" else None
        table.ratio(job, floor, column="of the floor's rate", of="rate", least=least)


def _bare(spec: ModelSpec, setting: Setting) -> float:
    """Images per second of the network alone."""
    module = spec.load_module().to(setting.device)
    batch = torch.randn(setting.batch, *spec.preprocessing["input_size"], device=setting.device)
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(setting.amp)
    passes = setting.images // setting.batch
    with torch.inference_mode(), torch.autocast(setting.device.type, dtype, enabled=dtype is not None):
        module(batch)
        _wait(setting.device)
        start = time.perf_counter()
        for _ in range(passes):
            module(batch)
        _wait(setting.device)
    return passes * setting.batch / (time.perf_counter() - start)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _stored(folder: Path, spec: ModelSpec, model: LoadedModel, images: InMemory, setting: Setting) -> float:
    """Images per second of the loop that a job runs, from the first batch to the commit."""
    lake = Lake(tempfile.mkdtemp(dir=folder))
    options = Options(str(setting.device), setting.batch, 0, setting.amp)
    row = DatasetRow("memory", "fit", ("main",), setting.images, 1, "0" * 64, "folder", "/")
    count = setting.images
    listing = Listing([str(sample) for sample in range(count)], [0] * count, [0] * count, ["noise"] * count)
    task = Task(spec, row, activations_target(spec, row, options))
    maker, times = FragmentMaker(task, model, options.dtype, np.zeros(count, np.int64)), Times()
    numbers = range(-(-count // options.fragment_rows))
    start = time.perf_counter()
    extract_fragments(
        lake.storage,
        [maker],
        images,
        listing,
        numbers=numbers,
        options=options,
        workers=0,
        advance=lambda _: None,
        times=times,
    )
    part = task.target.part([maker.fragments[number] for number in numbers])
    writing.commit(lake.storage, task.target.table, task.target.key, [part], replacing=False)
    seconds = time.perf_counter() - start
    print(f"    {count / seconds:,.0f} images/s; seconds: {times}")
    return count / seconds


def main() -> None:
    """Run on a GPU, or show that it runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", help="by default ViT-B/16 on a GPU, else ViT-Ti/16")
    parser.add_argument("--images", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--amp", help="by default bf16 on a GPU, else off")
    parser.add_argument("--rounds", type=int, default=3)
    options = arguments(parser, rounds=1)
    setting = Setting.here(options.architecture, options.images, options.batch, options.amp)
    if options.record and setting.device.type != "cuda":
        parser.error("there is no GPU here: only what runs on one is recorded")
    record = Record("extract_device", options)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        bench_device(record, Path(folder).absolute(), setting, options.rounds)
    record.close()


if __name__ == "__main__":
    main()
