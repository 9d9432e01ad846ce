"""Write unit-tests into a folder, once: a run that was killed continues, and a run that is repeated does nothing."""

from __future__ import annotations

import csv
import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image

from extract.datasets.formats import IMAGE_SUFFIXES, images_below, sizes_below
from extract.images import read_rgb
from extract.unit_tests.kinds import KINDS, render, require_kind
from extract.unit_tests.plan import FOLDER, HEADER, TABLE, PlannedImage, pixel_generator, plan
from extract.unit_tests.record import FINISHED, UNFINISHED, Record, read_record, reconcile
from featurestore.errors import InputError, StorageError
from featurestore.machine import cores
from featurestore.progress import silent_bar
from featurestore.staging import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from featurestore.progress import Bar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Each thread holds a few float64 copies of one image; blurring and encoding release the interpreter's lock.
MOST_THREADS = 8


@dataclass(frozen=True, slots=True)
class UnitTestSummary:
    """What a folder of unit-tests holds after a run.

    Attributes:
        folder: the folder, a NINCO root.
        written: how many images this run drew.
        reused: how many were there already.
    """

    folder: Path
    written: int
    reused: int


@dataclass(frozen=True, slots=True)
class SourceImages:
    """The source images of one folder.

    Attributes:
        root: the folder.
        names: the paths of its images relative to it, with forward slashes, sorted.
        digest: sha256 over the names and the sizes in bytes.
    """

    root: Path
    names: tuple[str, ...]
    digest: str

    def path(self, index: int) -> Path:
        """Give the path of one image."""
        return self.root / self.names[index]


def write_unit_tests(
    out: Path,
    images: Path,
    *,
    kinds: Sequence[str] | None = None,
    per_kind: int = 400,
    seed: int = 0,
    bar: Bar | None = None,
) -> UnitTestSummary:
    """Draw synthetic unit-tests from a folder of images, in the folder layout of NINCO.

    Kinds that an earlier run finished in the same folder stay, and stay listed. An image's pixels depend on the seed,
    its kind and its source image, and on nothing else.

    Args:
        out: the folder to write into; it becomes a NINCO root.
        images: the folder of source images, which give the sizes and the pixels to permute.
        kinds: names in `KINDS`; all of them by default.
        per_kind: how many images to draw of each kind.
        seed: the seed of the pixels; which source images are drawn depends on the kind only, as in NINCO.
        bar: is told how many images there are, and gives a context with a function to call with the number just done.

    Raises:
        InputError: an argument cannot be used, a source image cannot be decoded, or `out` holds other unit-tests;
            nothing was written.
        StorageError: the disk refused a file; what was written is reused by the next run.
    """
    chosen = _choose(kinds)
    if per_kind < 1:
        raise InputError(f"--per-kind is {per_kind}: each kind needs at least 1 image.")
    if seed < 0:
        raise InputError(f"The seed is {seed}: choose one that is not negative.")
    sources = list_images(images)
    _require_usable(sources, out, per_kind)
    record = reconcile(out, Record(seed, per_kind, len(sources.names), sources.digest, chosen))
    planned = plan(record.kinds, record.images, per_kind)
    missing = [image for image in planned if not (out / image.location).is_file()]
    if missing or not _is_finished(out, record):
        indices = sorted({image.index for image in missing})
        for _ in _in_threads(lambda index: read_image(sources.path(index)).shape, indices):
            pass  # before anything is written, all that will be drawn from must be an image
        # The unfinished record goes first, so that a killed run is never continued with another seed or other images.
        _write(out / UNFINISHED, record.to_json().encode())
        draw = partial(_draw, out, sources, seed)
        with (bar or silent_bar)(len(planned)) as advance:
            advance(len(planned) - len(missing))
            for _ in _in_threads(draw, missing):
                advance(1)
        _finish(out, record, planned)
    return UnitTestSummary(out, written=len(missing), reused=len(planned) - len(missing))


def list_images(root: Path) -> SourceImages:
    """List the images below a folder; hidden files and folders are not looked at.

    Raises:
        InputError: the folder is missing, cannot be read, is a file, or holds no image.
    """
    if not root.exists():
        raise InputError(f"There is no folder {root}: name a folder of images to draw the unit-tests from.")
    if not root.is_dir():
        raise InputError(f"{root} is a file: name the folder of images to draw the unit-tests from.")
    try:
        names = images_below(root)
        sizes = sizes_below(root, names)
    except OSError as error:
        raise InputError(
            f"Cannot read {error.filename}: {error.strerror}. Repair or remove it, then run again."
        ) from error
    if not names:
        raise InputError(f"{root} holds no image: names of images end in {', '.join(sorted(IMAGE_SUFFIXES))}.")
    listing = "".join(f"{name}\0{size}\n" for name, size in zip(names, sizes, strict=True))
    # A file name need not be valid text: what could not be decoded goes back to the bytes that it was.
    return SourceImages(root, tuple(names), hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest())


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode one image as RGB at its native size.

    Returns:
        uint8 [H, W, 3].

    Raises:
        InputError: the file cannot be decoded.
    """
    try:
        return np.asarray(read_rgb(path))
    except Exception as error:  # Pillow's decoders raise nearly anything on broken files.
        raise InputError(f"Cannot decode the source image {path} ({error}): repair or remove it.") from error


def _choose(kinds: Sequence[str] | None) -> tuple[str, ...]:
    if kinds is None:
        return tuple(KINDS)
    for kind in kinds:
        require_kind(kind)
    if not kinds:
        raise InputError(f"no unit-test kind was chosen; choose from {', '.join(KINDS)}")
    return tuple(kind for kind in KINDS if kind in kinds)


def _require_usable(sources: SourceImages, out: Path, per_kind: int) -> None:
    root, number = sources.root, len(sources.names)
    if (out / FOLDER).resolve().is_relative_to(root.resolve()):
        raise InputError(f"{out} lies in {root}, whose images it is drawn from; choose a folder outside of it")
    if number < per_kind:
        raise InputError(f"{root} holds {number} images, fewer than {per_kind} per kind; use --per-kind {number}")


def _is_finished(out: Path, record: Record) -> bool:
    complete = read_record(out / FINISHED) == record and (out / TABLE).is_file()
    return complete and not (out / UNFINISHED).exists()


def _finish(out: Path, record: Record, planned: Iterable[PlannedImage]) -> None:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(HEADER)
    rows.writerows((image.location, image.kind) for image in planned)
    _write(out / TABLE, text.getvalue().encode())
    _write(out / FINISHED, record.to_json().encode())
    (out / UNFINISHED).unlink(missing_ok=True)


def _draw(out: Path, sources: SourceImages, seed: int, image: PlannedImage) -> None:
    generator = pixel_generator(seed, image.kind, image.index)
    pixels = render(image.kind, read_image(sources.path(image.index)), generator)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, format=image.format)
    _write(out / image.location, encoded.getbuffer())


def _write(path: Path, content: bytes | memoryview) -> None:
    try:
        write_whole(path, content)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; make room or choose another folder") from error


def _in_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Map in a few threads, in order; what has not begun is dropped as soon as one call fails."""
    with ThreadPoolExecutor(min(MOST_THREADS, cores())) as pool:
        yield from pool.map(function, items)
