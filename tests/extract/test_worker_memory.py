"""Little shared memory, as containers have it: a sentence at once, where a job would wait forever."""

from __future__ import annotations

import errno

import pytest

from extract.worker_memory import explained
from featurestore import InputError


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left"), "--shm-size"),
        (OSError(errno.ENOSPC, "No space left on device"), "--shm-size"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), "memory ran out"),
        (RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"), "--workers 0"),
        (RuntimeError("received 0 items of ancdata"), "ulimit -n"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
    ],
)
def test_what_happens_to_workers_is_a_sentence_with_a_remedy(error: Exception, message: str) -> None:
    """Only theirs: without workers, and for anything else, the error is what it was."""
    with pytest.raises(InputError, match=message), explained(2):
        raise error
    with pytest.raises(type(error)), explained(0):
        raise error
    with pytest.raises(RuntimeError, match="CUDA"), explained(2):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
