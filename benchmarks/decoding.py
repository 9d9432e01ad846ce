"""What it takes to make pixels of photographs, and what models that take them in two ways share, in processor time.

Two models that differ in input size and interpolation run in one job. The floor reads and decodes each image once, prepares it in
both ways, and runs both networks from memory. Decoders are compared on the bytes of the same photographs, also in the encodings that
JPEG files come in: pixels are equal or they are not. simplejpeg and PyTurboJPEG are no dependencies: install them beside, as with
`pip install --no-deps --target FOLDER simplejpeg PyTurboJPEG`, and put that folder at the end of PYTHONPATH.

python -m benchmarks.decoding [--images FOLDER_OR_TAR] [--count 192] [--rounds 5] [--only ways,decoders,fast]
"""

from __future__ import annotations

import argparse
import importlib
import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.io import ImageReadMode, decode_jpeg

from benchmarks.extract import PHOTOGRAPHS, make_images
from benchmarks.fast_decoding import bench_fast
from benchmarks.record import Record, arguments
from benchmarks.surroundings import Clock
from extract.datasets import add_dataset, read_dataset, read_listing
from extract.images import read_rgb
from extract.images.loader import ImageDataset, image_batches
from extract.job import Options, batches_of, run_job
from extract.models import LoadedModel, ModelSpec
from featurestore import Lake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from extract.images.loader import ImageBatch

OTHERS = "cifar10_subset.tar"
"""Photographs of OOD, beside those of ImageNet."""
BATCH, WORKERS = 32, 2
WAYS: tuple[dict[str, Any], ...] = (
    {"input_size": (3, 224, 224), "interpolation": "bicubic", "crop_pct": 0.9},
    {"input_size": (3, 256, 256), "interpolation": "bilinear", "crop_pct": 0.95},
)
AT_ONCE = 48
"""Photographs that are decoded in one turn of a decoder."""


def processor_seconds(work: Callable[[], Any]) -> float:
    """Of this process and of the decoding processes, which have ended by then."""
    clock = Clock()
    work()
    return clock.used()


class Two:
    """Two models of one architecture that prepare images in different ways, and the loops to compare."""

    def __init__(self, folder: Path, images: Path, architecture: str) -> None:
        self.folder, self.images = folder, images
        self.options = Options("cpu", BATCH, WORKERS)
        self.specs = [self._spec(architecture, number) for number in range(len(WAYS))]
        lake = self.job(self.specs)  # afterwards the job's models stay loaded in this process
        self.listing, self.reader = read_listing(lake, "photographs"), read_dataset(lake, "photographs").reader
        self.models = [LoadedModel(spec, torch.device("cpu")) for spec in self.specs]
        self.held = self.batches(self.specs)

    def _spec(self, architecture: str, number: int) -> ModelSpec:
        torch.manual_seed(number)
        path = self.folder / f"{architecture}{number}.safetensors"
        save_file(timm.create_model(architecture).state_dict(), path)
        return ModelSpec(f"model{number}", architecture, path, preprocess=WAYS[number])

    def job(self, *jobs: Sequence[ModelSpec]) -> Lake:
        """Extraction as users run it, into a lake of its own, perhaps in several jobs."""
        lake = Lake(tempfile.mkdtemp(dir=self.folder))
        add_dataset(lake, "photographs", self.images, role="ood")
        for specs in jobs:
            run_job(lake, specs, ["photographs"], self.options, lambda _: None)
        return lake

    def batches(self, specs: Sequence[ModelSpec]) -> list[ImageBatch]:
        """The loader that extraction uses."""
        ways = {spec.way: spec.preparation().of_image for spec in specs}
        images = ImageDataset(self.reader, self.listing.paths, ways)
        return list(image_batches(images, batches_of([range(len(self.listing))], BATCH), workers=WORKERS, pin=False))

    def forward(self) -> None:
        """The forward passes of both models, from memory."""
        for model in self.models:
            for batch in self.held:
                model(batch.by_way[model.spec.way].images)


def bench_ways(record: Record, two: Two, architecture: str, rounds: int) -> None:
    """One job, one job for each model, and the least that it can take."""
    first, second = two.specs
    turns: dict[str, Callable[[], Any]] = {
        "one reading and decoding, prepared in both ways": lambda: two.batches(two.specs),
        "the same, prepared in one way": lambda: two.batches([first]),
        "both networks, from memory": two.forward,
        "one job": lambda: two.job(two.specs),
        "two jobs": lambda: two.job([first], [second]),
    }
    times: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, work in turns.items():
            times[name].append(processor_seconds(work))
    both, one, networks, *_ = times
    title = f"Two {architecture} in two ways, {len(two.listing)} photographs, {WORKERS} decoding processes, batches of {BATCH}"
    with record.table(title) as table:
        for name, seconds in times.items():
            table.add(name, seconds, column="processor time")
        for name, of, most in (("floor, both ways", both, 1.1), ("floor, one way", one, None)):
            table.add(name, [a + b for a, b in zip(times[of], times[networks], strict=True)], column="processor time")
            table.ratio("one job", name, column=f"against {name}", of="processor time", most=most)
        table.ratio("two jobs", "one job", column="against one job", of="processor time")


def encodings(photograph: Image.Image) -> dict[str, bytes]:
    """A photograph as JPEG files come."""
    exif = Image.Exif()
    exif[0x0112] = 6
    odd = photograph.crop((0, 0, photograph.width // 2 * 2 - 1, photograph.height // 2 * 2 - 1))
    kinds: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "4:2:0": (photograph, {"subsampling": 2}),
        "4:2:2": (photograph, {"subsampling": 1}),
        "4:4:4": (photograph, {"subsampling": 0}),
        "odd sides, 4:2:0": (odd, {"subsampling": 2}),
        "progressive": (photograph, {"progressive": True}),
        "optimised, quality 30": (photograph, {"optimize": True, "quality": 30}),
        "grey": (photograph.convert("L"), {}),
        "CMYK": (photograph.convert("CMYK"), {}),
        "rotated by EXIF": (photograph, {"exif": exif}),
    }
    made: dict[str, bytes] = {}
    for name, (image, options) in kinds.items():
        stream = io.BytesIO()
        image.save(stream, "jpeg", **{"quality": 90, **options})
        made[name] = stream.getvalue()
    return made | {"cut": made["4:2:0"][: len(made["4:2:0"]) // 2]}


def pillow(data: bytes) -> Image.Image:
    """What extraction does."""
    return read_rgb(io.BytesIO(data))


def of_torchvision(data: bytes) -> Image.Image:
    """`torchvision.io`, and an image of its pixels for timm's preprocessing."""
    pixels = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), mode=ImageReadMode.RGB)
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())


def of_package(name: str) -> Callable[[bytes], Image.Image]:
    """Simplejpeg or PyTurboJPEG.

    Raises:
        ImportError: It is not installed.
        RuntimeError: There is no library that it could call.
    """
    module = importlib.import_module(name)
    if name == "simplejpeg":
        return lambda data: Image.fromarray(module.decode_jpeg(data, "RGB"))
    turbo = module.TurboJPEG()
    return lambda data: Image.fromarray(turbo.decode(data, pixel_format=module.TJPF_RGB))


def _pixels(decode: Callable[[bytes], Image.Image], data: bytes) -> NDArray[np.uint8] | None:
    try:
        return np.asarray(decode(data))
    except Exception:  # noqa: BLE001 # decoders raise almost anything on a broken file
        return None


def _same(decode: Callable[[bytes], Image.Image], files: Sequence[bytes]) -> int:
    """Of how many files it makes what Pillow makes: the same pixels, or an error of both."""
    pairs = ((_pixels(decode, data), _pixels(pillow, data)) for data in files)
    return sum(
        ours is theirs if ours is None or theirs is None else np.array_equal(ours, theirs) for ours, theirs in pairs
    )


def bench_decoders(record: Record, files: Sequence[bytes], rounds: int) -> None:
    """Time beside Pillow's, and whether pixels are equal to its."""
    decoders: dict[str, Callable[[bytes], Image.Image]] = {"Pillow": pillow, "torchvision.io": of_torchvision}
    missing: dict[str, str] = {}
    for shown, name in (("simplejpeg", "simplejpeg"), ("PyTurboJPEG", "turbojpeg")):
        try:
            decoders[shown] = of_package(name)
        except (ImportError, RuntimeError, OSError) as error:
            missing[shown] = f"not here: {str(error).splitlines()[0]}"
    times: dict[str, list[float]] = {name: [] for name in decoders}
    some = files[:AT_ONCE]
    resized = [pillow(data) for data in some]
    prepare = ModelSpec("any", "vit_tiny_patch16_224", preprocess=WAYS[0]).preparation().of_image
    preparing = []
    for _ in range(rounds):
        for name, decode in decoders.items():
            times[name].append(processor_seconds(lambda decode=decode: [decode(data) for data in some]))
        preparing.append(processor_seconds(lambda: [prepare(image) for image in resized]))
    kinds: dict[str, list[bytes]] = {}
    for image in resized[:12]:
        for name, data in encodings(image).items():
            kinds.setdefault(name, []).append(data)
    with record.table(f"Decoders, milliseconds of processor time for each of {len(some)} photographs") as table:
        for name, seconds in times.items():
            table.add(name, [1e3 * each / len(some) for each in seconds], unit="ms")
            table.ratio(name, "Pillow", column="against Pillow")
            table.add(name, [_same(decoders[name], files)], column=f"equal of {len(files)}", unit="")
            of = [kind for kind, made in kinds.items() if _same(decoders[name], made) < len(made)]
            table.add(name, [len(kinds) - len(of)], column=f"kinds equal of {len(kinds)}", unit="", note=", ".join(of))
        table.add("resize and crop, after any of them", [1e3 * each / len(some) for each in preparing], unit="ms")
        for name, why in missing.items():
            table.absent(name, why)


def main() -> None:
    """Measure, and record it if that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, default=PHOTOGRAPHS)
    parser.add_argument("--architecture", default="resnet18")
    parser.add_argument("--count", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="ways,decoders,fast")
    parser.add_argument("--enlarged", type=int, default=200, help="photographs of each kind, for fast decoding")
    options = arguments(parser, count=32, rounds=1, enlarged=10)
    only, record = set(options.only.split(",")), Record("decoding", options)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).absolute()
        images = make_images(options.images, folder, options.count)
        if "ways" in only:
            two = Two(folder, images, options.architecture)
            bench_ways(record, two, options.architecture, options.rounds)
        if "decoders" in only:
            files = [path.read_bytes() for path in sorted(images.rglob("*")) if path.is_file()]
            bench_decoders(record, files, options.rounds)
        if "fast" in only:
            bench_fast(record, folder, [options.images, options.images.with_name(OTHERS)], options.enlarged)
    record.close()


if __name__ == "__main__":
    main()
