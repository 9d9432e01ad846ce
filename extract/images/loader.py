"""Images for a network: each sample comes back as itself or as its own error, never as another's pixels."""

from __future__ import annotations

import contextlib
import errno
import io
import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING

import pyarrow as pa
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from extract.datasets import digest_of, unread
from extract.images.decoding import error_text, read_rgb
from featurestore.errors import InputError
from featurestore.machine import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from PIL import Image
    from torch import Tensor

    from extract.datasets import Reader

_NO_DIGEST = unread(1).tobytes()
_FEW, _MOST_DECODERS = 4_000, 16
_READ_WHOLE = 64 << 20
"""A file up to this size is read in one go; what is larger is hardly an image, and is left to the decoder."""


_NO_ROOM = frozenset({errno.ENOSPC, errno.ENOMEM, errno.EAGAIN})
_REMEDY = "Decode in fewer processes (--workers 2; --workers 0 needs none), or take a smaller --batch-size"


@dataclass(frozen=True, slots=True)
class Item:
    """A sample as a worker has it.

    Attributes:
        sample: Its number.
        image: Pixels [3, height, width], or what went wrong.
        read: Seconds that it took to read the bytes.
        decode: Seconds from the bytes to the pixels.
        digest: Of the bytes; zeros where they could not be read.
    """

    sample: int
    image: Tensor | str
    read: float
    decode: float
    digest: bytes = _NO_DIGEST


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """A block of samples.

    Attributes:
        samples: Numbers of the samples that could be read, in order.
        images: Their pixels [n, 3, height, width], as the transform makes them: uint8, mostly.
        errors: Numbers of the others, each with what went wrong.
        read: Seconds that a worker spent on reading bytes.
        decode: Seconds that it spent on making pixels of them.
        digests: Of all of them, in the order that was asked for, 16 bytes each; zeros where the bytes could not be read.
    """

    samples: list[int]
    images: Tensor
    errors: list[tuple[int, str]]
    read: float
    decode: float
    digests: bytes


class ImageDataset(Dataset[Item]):
    """Images by sample number.

    Args:
        reader: Opens the dataset's images; any process may use it.
        paths: Their addresses; a sample's number is its position.
        transform: From an RGB PIL image to a tensor, as `Preparation.of_image`.
    """

    def __init__(self, reader: Reader, paths: Sequence[str], transform: Callable[[Image.Image], Tensor]) -> None:
        self._reader = reader
        # One buffer rather than a million objects, whose counts of references would copy them into every worker.
        self._paths = pa.array(paths, pa.large_string())
        self._transform = transform

    def __len__(self) -> int:
        return len(self._paths)

    @property
    def start_method(self) -> str | None:
        """How processes must be started that read these images; None for any way."""
        return getattr(self._reader, "start_method", None)

    def __getitem__(self, sample: int) -> Item:
        return self._item(self._reader, sample)

    def __getitems__(self, samples: Sequence[int]) -> list[Item]:
        """A batch, as torch asks for it; of a reader that waits for a network, its bytes are read at the same time."""
        together = getattr(self._reader, "together", None)
        if together is None:
            return [self[sample] for sample in samples]
        start = time.perf_counter()
        reader = together([self._paths[sample].as_py() for sample in samples])
        waited = (time.perf_counter() - start) / max(1, len(samples))
        items = [self._item(reader, sample) for sample in samples]
        return [replace(item, read=item.read + waited) for item in items]

    def _item(self, reader: Reader, sample: int) -> Item:
        start = time.perf_counter()
        try:
            file = _opened(reader, self._paths[sample].as_py())
            digest = digest_of(file)
        except Exception as error:  # noqa: BLE001 # a file that is gone, a shard that is cut: each becomes its row's error
            return Item(sample, error_text(error, None), time.perf_counter() - start, 0.0)
        opened = time.perf_counter()
        with closing(file):
            try:
                image: Tensor | str = self._transform(read_rgb(file))
            except Exception as error:  # noqa: BLE001 # decoders raise almost anything on a broken file
                image = error_text(error, file)
        return Item(sample, image, opened - start, time.perf_counter() - opened, digest)


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
    started = getattr(dataset, "start_method", None) if workers else None
    loader = DataLoader(
        dataset,
        batch_sampler=map(list, batches),
        collate_fn=_collate,
        num_workers=workers,
        pin_memory=pin,
        multiprocessing_context=started,
    )
    with worker_errors(workers):
        for batch in loader:
            yield ImageBatch(*batch)


def decoders(workers: int | None, samples: int, share: int | None = None) -> int:
    """How many processes decode: as many as were asked for, else none for a few images, and one per core for many.

    Args:
        workers: What the user asked for; None for nothing.
        samples: Images to decode.
        share: Cores that are ours to use; None for all that this process is bound to.
    """
    if workers is not None:
        return workers
    return 0 if samples < _FEW else min(_MOST_DECODERS, share or cores())


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


def _collate(items: list[Item]) -> tuple[list[int], Tensor, list[tuple[int, str]], float, float, bytes]:
    good = [(item.sample, item.image) for item in items if isinstance(item.image, torch.Tensor)]
    images = _handed_over(torch.stack([image for _, image in good])) if good else torch.empty(0)
    return (
        [sample for sample, _ in good],
        images,
        [(item.sample, item.image) for item in items if isinstance(item.image, str)],
        sum(item.read for item in items),
        sum(item.decode for item in items),
        b"".join(item.digest for item in items),
    )


def _handed_over(batch: Tensor) -> Tensor:
    """A worker's batch, in shared memory; in the job's own process, the batch as it is.

    The queue to the job would share it a moment later, in a thread whose errors nobody sees: the job would wait forever.

    Raises:
        RuntimeError: There is no room for it.
    """
    return batch if get_worker_info() is None else batch.share_memory_()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def worker_errors(workers: int) -> Iterator[None]:
    """Turn what happens to workers that lack memory into a sentence: containers often have little that is shared.

    Args:
        workers: How many there are; with 0, errors pass as they are.

    Raises:
        InputError: There was no room for a worker or for its batch, or a worker was killed.
    """
    try:
        yield
    except (RuntimeError, OSError) as error:
        reason = _reason(error) if workers else None
        if reason is None:
            raise
        raise InputError(reason) from error


def _reason(error: Exception) -> str | None:
    text = str(error)
    if "shared memory" in text or (isinstance(error, OSError) and error.errno in _NO_ROOM):
        return (
            "There is no room in shared memory (/dev/shm) for the batches of the processes that decode images. "
            f"{_REMEDY}, or give the container more (docker run --shm-size=8g)."
        )
    if "DataLoader worker" in text:
        return (
            "A process that decodes images was killed, most likely because memory ran out, or shared memory (/dev/shm). "
            f"{_REMEDY}."
        )
    if "ancdata" in text or (isinstance(error, OSError) and error.errno == errno.EMFILE):
        return f"The limit of open files is too low for the processes that decode images: raise it (ulimit -n 65536). {_REMEDY}."
    return None
