"""How a benchmark tells what it measured: a table on the terminal, and with `--record` one line of `history.jsonl`.

    options = arguments(parser, rows=2_000)             # adds --record, and --small, which sets what is named here
    record = Record("lake", options)
    with record.table("Writing, 200,000 rows") as table:
        table.add("bare write", [5.1, 5.0, 5.2])        # seconds of each round
        table.add("the lake's", [6.0, 6.1, 5.9])
        table.ratio("the lake's", "bare write", most=1.4)
    record.close()

Every number is a cell: it has a row, a column, a unit, and the values of all rounds. A ratio is one too, of values of the same
round, so that a machine that others use slows both sides. The page is made of the newest line of each benchmark, see `benchmarks.page`.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from math import isnan
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.surroundings import Clock, commit, machine, versions

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from benchmarks.measure import Measurement

HISTORY = Path(__file__).with_name("history.jsonl")


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of a table.

    Attributes:
        row: What was measured.
        column: The table's column.
        unit: Of the values: `s`, `ms`, `MB`, …; `x` is a ratio.
        values: Of each round; none where it could not be measured.
        most: What the median may be at most.
        least: What it has to be at least.
        note: A word on it, or why there is no value.
    """

    row: str
    column: str
    unit: str
    values: tuple[float, ...]
    most: float | None = None
    least: float | None = None
    note: str = ""

    @property
    def median(self) -> float:
        """Of the rounds."""
        return median(self.values)

    @property
    def text(self) -> str:
        """The median with its unit, of ratios also the range."""
        if not self.values:
            return self.note
        number = _number(self.median, self.unit)
        if self.unit == "x" and len(self.values) > 1:
            number += f" ({min(self.values):.2f} to {max(self.values):.2f})"
        return f"{number}, {self.note}" if self.note else number

    @property
    def limit(self) -> str:
        """The limit, and whether it was kept; empty where there is none."""
        if not self.values or (self.most is None and self.least is None):
            return ""
        sign, limit = ("≤", self.most) if self.most is not None else ("≥", self.least)
        assert limit is not None
        kept = self.median <= limit if self.most is not None else self.median >= limit
        return f"{sign} {limit:g}{' ' if self.unit != 'x' else ''}{self.unit}: {'kept' if kept else '**missed**'}"


def _number(value: float, unit: str) -> str:
    if unit == "x":
        return f"{value:.2f}x"
    digits = 0 if value >= 100 or (value == round(value) and unit not in {"s", "ms"}) else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}".strip()


@dataclass(slots=True)
class Table:
    """Numbers that are shown together, and the text of a table that is none of such numbers."""

    title: str
    cells: list[Cell] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    def add(self, row: str, values: Sequence[float], *, column: str = "time", unit: str = "s", **more: Any) -> None:
        """Values of all rounds; `most`, `least` and `note` as of a cell."""
        self.cells.append(Cell(row, column, unit, tuple(float(value) for value in values), **more))

    def runs(self, row: str, runs: Sequence[Measurement], **more: Any) -> None:
        """Seconds, those of processors, and memory of each round; `most`, `least` and `note` are of the seconds."""
        self.add(row, [run.seconds for run in runs], **more)
        self.add(row, [run.cpu for run in runs], column="processor")
        if not isnan(runs[0].megabytes):
            self.add(row, [max(run.megabytes, 0) for run in runs], column="memory", unit="MB")

    def ratio(
        self, row: str, against: str, *, column: str = "ratio", of: str = "time", inverse: bool = False, **more: Any
    ) -> None:
        """The ratios of a row's values to those of another row in the same rounds.

        Args:
            row: The one.
            against: The other: a floor or a peer.
            column: The column of the ratios.
            of: The column whose values are compared.
            inverse: Divide the other by the one, as for rates.
            more: `most`, `least` and `note` as of a cell.
        """
        ours, theirs = self.values(row, of), self.values(against, of)
        pairs = zip(theirs, ours, strict=True) if inverse else zip(ours, theirs, strict=True)
        self.add(row, [one / other for one, other in pairs], column=column, unit="x", **more)

    def absent(self, row: str, why: str, *, column: str = "time") -> None:
        """Say that a row could not be measured, as where a peer is not installed."""
        self.cells.append(Cell(row, column, "", (), note=why))

    def values(self, row: str, column: str = "time") -> tuple[float, ...]:
        """What was added."""
        return next(cell.values for cell in self.cells if (cell.row, cell.column) == (row, column))

    def grid(self) -> list[list[str]]:
        """The head and the rows: what, the columns in the order of their coming, and limits where there are any."""
        columns = list(dict.fromkeys(cell.column for cell in self.cells))
        limits = {cell.column for cell in self.cells if cell.limit}
        grid = [["", *columns, *(["limit"] if limits else [])]]
        for row in dict.fromkeys(cell.row for cell in self.cells):
            found = {cell.column: cell for cell in self.cells if cell.row == row}
            limited = [cell for cell in found.values() if cell.limit]
            kept = "; ".join(f"{cell.column} {cell.limit}" if len(limits) > 1 else cell.limit for cell in limited)
            grid.append(
                [row, *(found[name].text if name in found else "" for name in columns), *([kept] if limits else [])]
            )
        return grid

    def shown(self) -> str:
        """For the terminal."""
        grid = self.grid() if self.cells else []
        widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
        lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in grid]
        return "\n".join([self.title, *(f"  {line}" for line in lines), *self.text])


class Record:
    """A run of one benchmark, from its construction on."""

    def __init__(self, benchmark: str, options: argparse.Namespace) -> None:
        self.benchmark, self.kept = benchmark, options.record
        self.tables: list[Table] = []
        self._clock, self._load = Clock(), os.getloadavg()[0]

    @contextmanager
    def table(self, title: str) -> Iterator[Table]:
        """A table to fill, which is printed at its end."""
        table = Table(title)
        yield table
        self.tables.append(table)
        print(table.shown(), flush=True)

    def close(self, history: Path = HISTORY) -> None:
        """Append the run to the history, if it was to be recorded."""
        if not self.kept:
            return
        entry = {
            "benchmark": self.benchmark,
            "date": datetime.now(UTC).isoformat(timespec="minutes"),
            "commit": commit(),
            "command": command(self.benchmark),
            "seconds": round(self._clock.elapsed(), 1),
            "load": round(self._load, 2),
            "others": round(self._clock.others(), 2),
            "machine": machine(),
            "versions": versions(),
            "tables": [_stored(table) for table in self.tables],
        }
        with history.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(entry, ensure_ascii=False) + "\n")


def command(benchmark: str, given: Sequence[str] | None = None) -> str:
    """What was typed, without what only says that it is recorded."""
    typed = [word for word in (sys.argv[1:] if given is None else given) if word != "--record"]
    return " ".join(["python -m", f"benchmarks.{benchmark}", *typed])


def _stored(table: Table) -> dict[str, Any]:
    """As JSON, of values four digits that count."""
    cells = []
    for cell in table.cells:
        kept = {name: value for name, value in asdict(cell).items() if value not in {None, ""}}
        cells.append(kept | {"values": [float(f"{value:.4g}") for value in cell.values]})
    return {"title": table.title, "cells": cells} | ({"text": table.text} if table.text else {})


def arguments(parser: argparse.ArgumentParser, **small: Any) -> argparse.Namespace:
    """Parse the command line, with `--small` and `--record`.

    Args:
        parser: With the benchmark's own options.
        small: Values of options with which the benchmark only shows that it runs.
    """
    parser.add_argument("--small", action="store_true", help="sizes that only show that it runs")
    parser.add_argument("--record", action="store_true", help="append the figures to benchmarks/history.jsonl")
    given = parser.parse_args()
    if not given.small:
        if given.record and getattr(given, "only", None) != parser.get_default("only"):
            parser.error("--record keeps whole runs: leave --only out")
        return given
    if given.record:
        parser.error("--small measures nothing that is worth a line of history: leave one of --small and --record out")
    parser.set_defaults(**small)
    return parser.parse_args()
