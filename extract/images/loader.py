"""Images for a network: each sample comes back as itself or as its own error, never as another's pixels."""

from __future__ import annotations

import io
import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from extract.datasets import digest_of, is_unreachable, unread
from extract.images.decoding import error_text, read_rgb
from extract.images.preprocessing import OfShrunk
from extract.images.workers import handed_over, worker_errors
from featurestore.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from PIL import Image
    from torch import Tensor

    from extract.datasets import DatasetRow, Reader

_NO_DIGEST = unread(1).tobytes()
_SHOWN = 3
_READ_WHOLE = 64 << 20
"""A file up to this size is read in one go; what is larger is hardly an image, and is left to the decoder."""
_PAUSES = (0.2, 1.0, 4.0)
"""Seconds before images that could not be read are asked for again."""
_PATIENCE = 60.0
"""Seconds that a process spends on such pauses in all: what stays away is not waited for with each batch."""


@dataclass(frozen=True, slots=True)
class Item:
    """A sample as a worker has it.

    Attributes:
        sample: Its number.
        images: Pixels [3, height, width] by the way in which they are made, or what went wrong.
        read: Seconds that it took to read the bytes.
        decode: Seconds from the bytes to the pixels.
        digest: Of the bytes; zeros where they could not be read.
        unreachable: Whether what went wrong is about the place of the bytes, and says nothing of the image.
    """

    sample: int
    images: Mapping[str, Tensor | str]
    read: float
    decode: float
    digest: bytes = _NO_DIGEST
    unreachable: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """What one way of preparing makes of a block of samples.

    Attributes:
        samples: Numbers of the samples that could be read and prepared, in order.
        images: Their pixels [n, 3, height, width], as the transform makes them: uint8, mostly.
        errors: Numbers of the others, each with what went wrong.
    """

    samples: list[int]
    images: Tensor
    errors: list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """A block of samples, each read and decoded once.

    Attributes:
        by_way: What each way of preparing makes of them.
        read: Seconds that a worker spent on reading bytes.
        decode: Seconds that it spent on making pixels of them.
        digests: Of all of them, in the order that was asked for, 16 bytes each; zeros where the bytes could not be read.
        unreachable: Those of the errors that are about the place of the bytes: the samples' numbers.
    """

    by_way: Mapping[str, Prepared]
    read: float
    decode: float
    digests: bytes
    unreachable: frozenset[int]

    def __len__(self) -> int:
        return len(self.digests) // len(_NO_DIGEST)

    @property
    def only(self) -> Prepared:
        """What the one way makes of them, where images are prepared in one."""
        (made,) = self.by_way.values()
        return made


class ImageDataset(Dataset[Item]):
    """Images by sample number.

    Args:
        reader: Opens the dataset's images; any process may use it.
        paths: Their addresses; a sample's number is its position.
        ways: Ways of preparing an image by any name, as `Preparation.of_image`: from an RGB PIL image to a tensor.
        patience: Seconds that a process waits in all for images that are away.
    """

    def __init__(
        self,
        reader: Reader,
        paths: Sequence[str] | NDArray[Any],
        ways: Mapping[str, Callable[[Image.Image], Tensor]],
        patience: float = _PATIENCE,
    ) -> None:
        self._reader = reader
        # One buffer rather than a million objects, whose counts of references would copy them into every worker.
        self._paths = np.asarray(paths, np.dtypes.StringDType())
        self._ways = ways
        self._patience = patience

    def __len__(self) -> int:
        return len(self._paths)

    def of_ways(self, names: Collection[str]) -> ImageDataset:
        """The same images, prepared in some of the ways."""
        ways = {name: of_image for name, of_image in self._ways.items() if name in names}
        return ImageDataset(self._reader, self._paths, ways, self._patience)

    @property
    def start_method(self) -> str | None:
        """How processes must be started that read these images; None for any way."""
        return getattr(self._reader, "start_method", None)

    @property
    def ahead(self) -> int:
        """Batches that each process has ready: half as many where several ways make each of them larger."""
        return 1 if len(self._ways) > 1 else 2

    def __getitem__(self, sample: int) -> Item:
        return self._item(self._reader, sample)

    def __getitems__(self, samples: Sequence[int]) -> list[Item]:
        """A batch, as torch asks for it; bytes that cannot be read are asked for a few times, since networks come back."""
        items = self._read(samples)
        for pause in _PAUSES:
            again = [position for position, item in enumerate(items) if item.unreachable]
            if not again or self._patience < pause:
                break
            self._patience -= pause
            time.sleep(pause)
            for position, item in zip(again, self._read([samples[each] for each in again]), strict=True):
                items[position] = replace(item, read=items[position].read + item.read)
        return items

    def _read(self, samples: Sequence[int]) -> list[Item]:
        """Samples, each once; of a reader that waits for a network, their bytes are read at the same time."""
        together = getattr(self._reader, "together", None)
        if together is None:
            return [self[sample] for sample in samples]
        start = time.perf_counter()
        reader = together([self._paths[sample] for sample in samples])
        waited = (time.perf_counter() - start) / max(1, len(samples))
        items = [self._item(reader, sample) for sample in samples]
        return [replace(item, read=item.read + waited) for item in items]

    def _item(self, reader: Reader, sample: int) -> Item:
        start = time.perf_counter()
        try:
            file = _opened(reader, self._paths[sample])
            digest = digest_of(file)
        except Exception as error:  # noqa: BLE001 # a file that is gone, a shard that is cut: each becomes its row's error
            seconds, text = time.perf_counter() - start, error_text(error, None)
            return Item(sample, dict.fromkeys(self._ways, text), seconds, 0.0, unreachable=is_unreachable(error))
        opened = time.perf_counter()
        with closing(file):
            images, gone = self._made_of(file)
        return Item(sample, images, opened - start, time.perf_counter() - opened, digest, gone)

    def _made_of(self, file: IO[bytes]) -> tuple[Mapping[str, Tensor | str], bool]:
        """An image, decoded once and prepared in each way, or what went wrong; and whether that is about the place of its bytes."""
        made: dict[str, Tensor | str] = {}
        by_size: dict[tuple[int, int], Image.Image] = {}
        by_side: dict[int, Image.Image] = {}
        for name, of_image in self._ways.items():
            side = of_image.side if isinstance(of_image, OfShrunk) else 0
            try:
                if side not in by_side:
                    by_side[side] = read_rgb(file, side, by_size)
            except Exception as error:  # noqa: BLE001 # decoders raise almost anything on a broken file
                gone = isinstance(error, OSError) and error.errno is not None  # one too large to be in memory
                return dict.fromkeys(self._ways, error_text(error, file)), gone
            made[name] = _prepared(by_side[side], of_image, file)
        return made, False


def _prepared(image: Image.Image, of_image: Callable[[Image.Image], Tensor], file: IO[bytes]) -> Tensor | str:
    try:
        return of_image(image)
    except Exception as error:  # noqa: BLE001 # no room for an image of that size: one way's trouble is no other's
        return error_text(error, file)


def image_batches(
    dataset: Dataset[Item], batches: Iterable[Sequence[int]], *, workers: int, pin: bool
) -> Iterator[ImageBatch]:
    """Read and preprocess batches of samples in the given order.

    Args:
        dataset: The images.
        batches: Sample numbers of each batch.
        workers: Processes that decode; 0 decodes here.
        pin: Whether to return page-locked memory, for faster copies to a GPU.
    """
    loader = DataLoader(
        dataset,
        batch_sampler=map(list, batches),
        collate_fn=_collate,
        num_workers=workers,
        prefetch_factor=getattr(dataset, "ahead", None) if workers else None,
        pin_memory=pin,
        multiprocessing_context=getattr(dataset, "start_method", None) if workers else None,
    )
    with worker_errors(workers):
        for batch in loader:
            by_way, *rest = batch
            yield ImageBatch({way: Prepared(*made) for way, made in by_way.items()}, *rest)


def check_reachable(dataset: DatasetRow, away: Sequence[tuple[int, str, str]], looked: int) -> None:
    """Raise if images could not be read where they lie.

    Args:
        dataset: The dataset.
        away: Those images: number, path, and what went wrong.
        looked: How many images were asked for.

    Raises:
        UnreadableError: There are some; the message names the first, and what to do.
    """
    if not away:
        return
    first = ", ".join(path for _, path, _ in away[:_SHOWN]) + (", …" if len(away) > _SHOWN else "")
    raise UnreadableError(
        f"{len(away):,} of the {looked:,} images that were read of dataset {dataset.dataset!r} in {dataset.location} cannot be "
        f"reached, after {len(_PAUSES) + 1} attempts ({first}: {away[0][2]}). Nothing is lost: let them be there, and run the same "
        "command again, which goes on where it stopped; or leave them out with `extract --allow-unreadable`."
    )


def _opened(reader: Reader, path: str) -> IO[bytes]:
    """An image's file, whose bytes are in memory already: reading them is no part of decoding, and is one request."""
    file = reader.open(path)
    if isinstance(file, io.BytesIO):
        return file
    try:
        content = file.read(_READ_WHOLE)
        if len(content) == _READ_WHOLE:
            file.seek(0)
            return file
    except BaseException:
        file.close()
        raise
    file.close()
    return io.BytesIO(content)


def _collate(
    items: list[Item],
) -> tuple[dict[str, tuple[list[int], Tensor, list[tuple[int, str]]]], float, float, bytes, frozenset[int]]:
    return (
        {way: _of_way(items, way) for way in items[0].images},
        sum(item.read for item in items),
        sum(item.decode for item in items),
        b"".join(item.digest for item in items),
        frozenset(item.sample for item in items if item.unreachable),
    )


def _of_way(items: list[Item], way: str) -> tuple[list[int], Tensor, list[tuple[int, str]]]:
    """What becomes `Prepared`: torch pins the tensors of tuples, and not of classes."""
    made = [(item.sample, item.images[way]) for item in items]
    good = [(sample, image) for sample, image in made if isinstance(image, torch.Tensor)]
    images = handed_over(torch.stack([image for _, image in good])) if good else torch.empty(0)
    return [sample for sample, _ in good], images, [(sample, text) for sample, text in made if isinstance(text, str)]
