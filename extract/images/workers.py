"""Processes that decode images: how many there are, what they hand over, and what befalls them."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING

from torch.utils.data import get_worker_info

from featurestore.errors import InputError
from featurestore.machine import cores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

_FEW, _MOST_DECODERS = 4_000, 16
_NO_ROOM = frozenset({errno.ENOSPC, errno.ENOMEM, errno.EAGAIN})
_REMEDY = "Decode in fewer processes (--workers 2; --workers 0 needs none), or take a smaller --batch-size"


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


def handed_over(batch: Tensor) -> Tensor:
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
