"""Edits that are killed at random moments: the lake is valid after each kill, and the same command finishes."""

from __future__ import annotations

import os
import shutil
import signal
import time
from random import Random
from typing import TYPE_CHECKING

import pytest

from featurestore import Lake
from featurestore.edit import carry_out, read_inventory, removal
from tests.featurestore.edit.conftest import dangling, faults

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.pipeline import Commands

KILLS = 5
REMOVALS = (("dataset", "train"), ("dataset", "far"), ("model", "a"), ("benchmark", "main"))


def remove(lake: Lake, kind: str, name: str) -> None:
    carry_out(lake.storage, removal(read_inventory(lake.storage), kind, name))


def killed(job: Callable[[], None], after: float) -> bool:
    """Whether a job in a process of its own was killed before it ended by itself."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            job()
            code = 0
        finally:
            os._exit(code)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def state(lake: Lake) -> dict[str, list[str]]:
    """The parts of each partition."""
    return {m.folder: sorted(p.fingerprint for p in m.parts) for m in read_inventory(lake.storage).manifests.values()}


@pytest.mark.parametrize(("kind", "name"), REMOVALS)
def test_a_removal_that_is_killed_leaves_a_valid_lake_and_is_finished_by_the_same_command(
    commands: Commands, tmp_path: Path, kind: str, name: str
) -> None:
    whole = shutil.copytree(commands.location, tmp_path / "whole")
    start = time.perf_counter()
    remove(Lake(whole), kind, name)
    took = time.perf_counter() - start
    random, kills = Random(f"{kind} {name}"), 0
    while kills < KILLS:
        lake = Lake(shutil.copytree(commands.location, tmp_path / "killed"))
        if killed(lambda lake=lake: remove(lake, kind, name), random.uniform(0, took)):
            kills += 1
            assert faults(lake) == dangling(lake) == []
            if name in read_inventory(lake.storage).names(kind):
                remove(lake, kind, name)
        assert state(lake) == state(Lake(whole))
        shutil.rmtree(tmp_path / "killed")
