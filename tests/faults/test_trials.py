"""The short form of the harness: one trial of each kind of fault; `make faults` tries hundreds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.__main__ import CROWD, Try, table
from tests.faults.lakes import SHORT, Templates
from tests.faults.processes import Server
from tests.faults.shim import compiler
from tests.faults.trials import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.once,
    pytest.mark.skipif(compiler() is None, reason="no C compiler: the shim that breaks disks is written in C"),
]

TRIALS = (("remove", "killed at a disk call"), ("rename", "disk full"), ("copy", "Ctrl-C"))


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Server]]:
    folder = tmp_path_factory.mktemp("faults")
    with Server(folder / "server", light=True) as server:
        yield folder, server


@pytest.fixture(scope="module")
def templates(started: tuple[Path, Server]) -> Templates:
    return Templates(started[0] / "templates", started[1])


@pytest.mark.parametrize(("command", "fault"), TRIALS)
def test_a_fault_loses_and_changes_nothing(
    command: str, fault: str, started: tuple[Path, Server], templates: Templates
) -> None:
    """It is said, or ends the process; run again, the command ends, and leaves the rows and answers that it leaves in peace."""
    folder, server = started
    result = Bench(folder / "trials", command, templates, server, SHORT).trial(fault, "0")
    assert result.problems == ()
    assert result.happened in {"interrupted", "killed", "said so", "ended"}


def test_the_table_counts_faults_and_problems() -> None:
    done = {
        Try("extract", "kill -9", "0"): ("killed", []),
        Try("extract", "kill -9", "1"): ("killed", ["lost"]),
        Try(CROWD, "each other", "0.0"): ("16 ended", []),
    }
    lines = table(done).splitlines()
    assert lines[0] == f"| fault | extract | {CROWD} | what became of the command | problems |"
    assert lines[2] == "| kill -9 | 2 |  | 2 killed | 1 |"
    assert lines[-1] == "3 faults tried; 1 of them left anything wrong."
