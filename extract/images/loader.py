"""Images for a network: each sample comes back as itself or as its own error, never as another's pixels."""

from __future__ import annotations

import contextlib
import errno
import io
import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from extract.datasets import digest_of, is_unreachable, unread
from extract.images.decoding import error_text, read_rgb
from featurestore.errors import InputError, UnreadableError
from featurestore.machine import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from PIL import Image
    from torch import Tensor

    from extract.datasets import DatasetRow, Reader

_NO_DIGEST = unread(1).tobytes()
_FEW, _MOST_DECODERS = 4_000, 16
_SHOWN = 3
_READ_WHOLE = 64 << 20
"""A file up to this size is read in one go; what is larger is hardly an image, and is left to the decoder."""
_PAUSES = (0.2, 1.0, 4.0)
"""Seconds before images that could not be read are asked for again."""
_PATIENCE = 60.0
"""Seconds that a process spends on such pauses in all: what stays away is not waited for with each batch."""
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
        unreachable: Whether what went wrong is about the place of the bytes, and says nothing of the image.
    """

    sample: int
    image: Tensor | str
    read: float
    decode: float
    digest: bytes = _NO_DIGEST
    unreachable: bool = False


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
        unreachable: Those of the errors that are about the place of the bytes: the samples' numbers.
    """

    samples: list[int]
    images: Tensor
    errors: list[tuple[int, str]]
    read: float
    decode: float
    digests: bytes
    unreachable: frozenset[int]


class ImageDataset(Dataset[Item]):
    """Images by sample number.

    Args:
        reader: Opens the dataset's images; any process may use it.
        paths: Their addresses; a sample's number is its position.
        transform: From an RGB PIL image to a tensor, as `Preparation.of_image`.
        patience: Seconds that a process waits in all for images that are away.
    """

    def __init__(
        self,
        reader: Reader,
        paths: Sequence[str],
        transform: Callable[[Image.Image], Tensor],
        patience: float = _PATIENCE,
    ) -> None:
        self._reader = reader
        # One buffer rather than a million objects, whose counts of references would copy them into every worker.
        self._paths = np.array(paths, np.dtypes.StringDType())
        self._transform = transform
        self._patience = patience

    def __len__(self) -> int:
        return len(self._paths)

    @property
    def start_method(self) -> str | None:
        """How processes must be started that read these images; None for any way."""
        return getattr(self._reader, "start_method", None)

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
            seconds = time.perf_counter() - start
            return Item(sample, error_text(error, None), seconds, 0.0, unreachable=is_unreachable(error))
        opened = time.perf_counter()
        gone = False
        with closing(file):
            try:
                image: Tensor | str = self._transform(read_rgb(file))
            except Exception as error:  # noqa: BLE001 # decoders raise almost anything on a broken file
                image = error_text(error, file)
                gone = isinstance(error, OSError) and error.errno is not None  # one too large to be in memory
        return Item(sample, image, opened - start, time.perf_counter() - opened, digest, gone)


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
        pin_memory=pin,
        multiprocessing_context=getattr(dataset, "start_method", None) if workers else None,
    )
    with worker_errors(workers):
        for batch in loader:
            yield ImageBatch(*batch)


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


def _collate(
    items: list[Item],
) -> tuple[list[int], Tensor, list[tuple[int, str]], float, float, bytes, frozenset[int]]:
    good = [(item.sample, item.image) for item in items if isinstance(item.image, torch.Tensor)]
    images = _handed_over(torch.stack([image for _, image in good])) if good else torch.empty(0)
    return (
        [sample for sample, _ in good],
        images,
        [(item.sample, item.image) for item in items if isinstance(item.image, str)],
        sum(item.read for item in items),
        sum(item.decode for item in items),
        b"".join(item.digest for item in items),
        frozenset(item.sample for item in items if item.unreachable),
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
