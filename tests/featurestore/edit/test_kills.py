"""Edits that are killed at random moments: the lake is valid after each kill, and the same command finishes."""

from __future__ import annotations

import os
import shutil
import signal
import time
from random import Random
from typing import TYPE_CHECKING

import pytest

from analysis.lineage.renamed import learned_anew
from featurestore import Lake
from featurestore.edit import carry_out, read_inventory, removal, rename
from tests.conftest import faults
from tests.featurestore.edit.conftest import dangling

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.pipeline import Commands

KILLS = 3
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
@pytest.mark.long
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
            assert faults(lake, deep=False) == dangling(lake) == []
            if name in read_inventory(lake.storage).names(kind):
                remove(lake, kind, name)
        assert state(lake) == state(Lake(whole))
        shutil.rmtree(tmp_path / "killed")


def names_of(lake: Lake, kind: str) -> set[str]:
    return read_inventory(lake.storage).names(kind)


def crowded(lake: Lake) -> list[tuple[str, str]]:
    """Benchmarks that have two datasets of a role that one has."""
    query = "from (select unnest(benchmarks) as b, role from datasets where role in ('fit', 'id')) select b, role group by all having count(*) > 1"
    return lake.sql(query).fetchall()


@pytest.mark.parametrize(("kind", "old"), REMOVALS)
@pytest.mark.long
def test_a_renaming_that_is_killed_leaves_the_old_whole_or_both_and_is_finished_by_the_same_command(
    commands: Commands, tmp_path: Path, kind: str, old: str
) -> None:
    def rename_it(lake: Lake) -> None:
        rename(lake.storage, kind, old, "new", learned=learned_anew)

    whole = Lake(shutil.copytree(commands.location, tmp_path / "whole"))
    columns = ("benchmark", "model", "id_dataset", "ood_dataset")
    replaced = ", ".join(f"if({name} = '{old}', 'new', {name}) as {name}" for name in columns)
    rows = f"select distinct * replace ({replaced}) from metrics order by all"
    judged = whole.sql(rows).fetchall()
    start = time.perf_counter()
    rename_it(whole)
    took = time.perf_counter() - start
    random, kills = Random(f"rename {kind} {old}"), 0
    while kills < KILLS:
        lake = Lake(shutil.copytree(commands.location, tmp_path / "killed"))
        if killed(lambda lake=lake: rename_it(lake), random.uniform(0, took)):
            kills += 1
            assert faults(lake, deep=False) == dangling(lake) == crowded(lake) == []
            assert lake.sql(rows).fetchall() == judged
            if old in names_of(lake, kind):
                rename_it(lake)
        assert state(lake) == state(whole)
        shutil.rmtree(tmp_path / "killed")
