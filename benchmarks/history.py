"""Runs that were recorded: the newest of each benchmark, and what is slower than in the run before."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.record import HISTORY, Cell, Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TOLD = 0.1
"""By which share a median has to differ, beside its rounds lying apart from those before, to be told."""


@dataclass(frozen=True, slots=True)
class Run:
    """One line of the history."""

    benchmark: str
    date: str
    commit: str
    command: str
    seconds: float
    load: float
    others: float
    machine: str
    versions: dict[str, str]
    tables: tuple[Table, ...]


def read(history: Path = HISTORY) -> list[Run]:
    """All runs, the oldest first."""
    lines = history.read_text(encoding="utf-8").splitlines() if history.exists() else []
    return [_run(json.loads(line)) for line in lines if line]


def _run(entry: dict[str, Any]) -> Run:
    tables = tuple(
        Table(
            table["title"],
            [Cell(**{"unit": "", **cell, "values": tuple(cell["values"])}) for cell in table["cells"]],
            table.get("text", []),
        )
        for table in entry.pop("tables")
    )
    return Run(tables=tables, **entry)


def newest(runs: Sequence[Run]) -> dict[str, Run]:
    """The last run of each benchmark."""
    return {run.benchmark: run for run in runs}


def before(run: Run, runs: Sequence[Run]) -> Run | None:
    """The last run of the same command on the same machine before this one."""
    earlier = runs[: runs.index(run)]
    alike = [one for one in earlier if (one.command, one.machine) == (run.command, run.machine)]
    return alike[-1] if alike else None


def changes(now: Run, then: Run) -> list[tuple[str, Cell, Cell]]:
    """Ratios all of whose rounds lie beyond those of the run before, and whose median differs by more than a tenth."""
    known = {(table.title, cell.row, cell.column): cell for table in then.tables for cell in table.cells}
    found = []
    for table in now.tables:
        for cell in table.cells:
            old = known.get((table.title, cell.row, cell.column))
            if old and old.values and cell.values and cell.unit == "x" and _apart(cell, old):
                found.append((table.title, old, cell))
    return found


def _apart(cell: Cell, old: Cell) -> bool:
    beyond = min(cell.values) > max(old.values) or max(cell.values) < min(old.values)
    return beyond and abs(cell.median / old.median - 1) > TOLD
