"""Little shared memory, as containers have it: a sentence at once, where a job would wait forever."""

from __future__ import annotations

import errno
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from extract.datasets import add_dataset
from extract.images.workers import worker_errors
from featurestore import InputError
from tests.extract.conftest import network, run_command
from tests.tiny import write_images

if TYPE_CHECKING:
    from pathlib import Path

    from featurestore import Lake

PRIVATE = ["unshare", "--mount", "sh", "-c"]
SMALL = 'mount -t tmpfs -o size=300k none /dev/shm && exec "$@"'


def _may_mount() -> bool:
    if shutil.which(PRIVATE[0]) is None:
        return False
    return subprocess.run([*PRIVATE, SMALL, "sh", "true"], check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(not _may_mount(), reason="only root gets a /dev/shm of its own")
@pytest.mark.long
def test_a_job_whose_batches_do_not_fit_says_so(tmp_path: Path, lake: Lake, checkpoint: Path) -> None:
    add_dataset(lake, "ant", write_images(tmp_path / "images", {"ant": 256}), role="ood")
    done = run_command(
        *("extract", "--model", checkpoint, *network(), "--dataset", "ant", "--workers", 2, "--batch-size", 128),
        inside=[*PRIVATE, SMALL, "sh"],
        FEATURESTORE_LAKE=lake.location,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: There is no room in shared memory (/dev/shm)")
    assert "--workers 0" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not lake.partitions("activations")


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
    with pytest.raises(InputError, match=message), worker_errors(2):
        raise error
    with pytest.raises(type(error)), worker_errors(0):
        raise error
    with pytest.raises(RuntimeError, match="CUDA"), worker_errors(2):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
