"""What sentences of the report claim: which words make a finding, and which say that there is none."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from analysis.report.context import CachingLake, Context
from analysis.report.sections.section import sections
from benchmarks.simulated.designs import EFFECTS, design
from benchmarks.simulated.draws import FIRST, draw
from benchmarks.simulated.table_lake import MEASURES, TableLake, put_design, put_drawn, put_geometry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from benchmarks.simulated.draws import Truth
    from benchmarks.simulated.tallies import Cell
    from featurestore.query import Filters, Value

_BATCH = 100
"""Lakes whose questions are answered together."""
OOD = "ninco"


@dataclass(frozen=True, slots=True)
class Wording:
    """How one kind of sentence reads.

    Attributes:
        section: The section that says it.
        what: What it is about.
        found: A regular expression of what it says where something is found.
        unclear: One of what it says where nothing is.
        is_true: Whether what it says where something is found is so where recipes and detectors have effects; else nothing is.
    """

    section: str
    what: str
    found: str
    unclear: str
    is_true: Callable[[re.Match[str]], bool] = field(default=lambda _: False, compare=False)


def _changes(said: re.Match[str]) -> bool:
    """Whether a change of an ingredient has an effect: on pairs where all else is equal, by itself or with another one."""
    name, before, after = said[1].lower().replace(" ", "_"), *said.group(2, 3)
    parts = [re.split(r"[+]", text) for text in (name, before, after)]
    return any(_of(of, first) != _of(of, second) for of, first, second in zip(*parts, strict=True))


def _of(name: str, value: str) -> float:
    known = EFFECTS.get({"resolution": "input_size"}.get(name, name), {})
    return next((effect for key, effect in known.items() if _same(str(key), value)), 0.0)


def _same(one: str, other: str) -> bool:
    try:
        return float(one) == float(other)
    except ValueError:
        return one == other


WORDINGS = (
    Wording("accuracy", "accuracy and FPR", r"more accurate ones (accept|have)", r"hardly go together|too few"),
    Wording(
        "detectors", "the best detector and the next", r"and detector (\S+) .*; with the next, ", r"cannot be told apart",
        lambda said: said[1] == FIRST,
    ),
    Wording(
        "recipes", "an ingredient changes the FPR", r"^(.+) from (\S+) to (\S+) changes ", r"no clear effect|may be chance", _changes
    ),
    Wording(
        "geometry", "a measure goes with the FPR", r"allowed for",
        r"too few models|may be chance|none of \d+ measures",
    ),
    Wording("geometry", "feature spaces by pretraining", r"stands out", r"told from chance"),
)  # fmt: skip


@dataclass(slots=True)
class Said:
    """What the reports of simulated lakes say.

    Attributes:
        found: By wording, of each lake whether at least one sentence is a finding.
        false: The same of findings that are not so.
        unknown: Sentences of no known wording.
    """

    found: dict[Wording, list[bool]] = field(default_factory=lambda: {wording: [] for wording in WORDINGS})
    false: dict[Wording, list[bool]] = field(default_factory=lambda: {wording: [] for wording in WORDINGS})
    unknown: list[str] = field(default_factory=list)

    def add(self, sentences: Iterable[tuple[str, str]], truth: Truth) -> None:
        """Count the sentences of one lake, each with its section."""
        found, false = set(), set()
        for section, text in sentences:
            of_section = [wording for wording in WORDINGS if wording.section == section]
            says = {wording: said for wording in of_section if (said := re.search(wording.found, text))}
            found |= set(says)
            false |= {wording for wording, said in says.items() if truth == "none" or not wording.is_true(said)}
            if not says and not any(re.search(wording.unclear, text) for wording in of_section):
                self.unknown.append(text)
        for wording in WORDINGS:
            self.found[wording].append(wording in found)
            self.false[wording].append(wording in false)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows, as the report reads those of a relation."""

    frame: pl.DataFrame

    def pl(self) -> pl.DataFrame:
        """The rows."""
        return self.frame


class _DrawnLake(CachingLake, TableLake):
    """One of several lakes whose questions are answered together, as the report reads it.

    Args:
        lake: All of them, each an OOD set.
        draw: The OOD set that this one has.
        held: Answers of all of them.
    """

    def __init__(self, lake: TableLake, draw: str, held: dict[Any, pl.DataFrame]) -> None:
        super().__init__(lake)
        self._draw, self._held = draw, held

    def sql(self, query: str) -> Any:
        """The result of a SQL query; geometry is drawn for each lake."""
        if "geometry" in query:
            return self.connection.sql(query)
        return self._own(query, lambda: self.connection.sql(query).pl())

    def ask(self, question: str, filters: Filters | None = None, /, **parameters: Value) -> Any:
        """The answer to a question."""
        # No sentence is on ranks, which are of all OOD sets together.
        parameters |= {"ood": "draw-0"} if question == "detector_ranks" else {}
        key = (question, *sorted(parameters.items()))
        return self._own(key, lambda: TableLake.ask(self, question, filters, **parameters).pl())

    def _own(self, key: Any, read: Callable[[], pl.DataFrame]) -> Any:
        if key not in self._held:
            self._held[key] = read()
        frame = self._held[key]
        if "ood_dataset" in frame.columns:
            frame = frame.filter(pl.col("ood_dataset") == self._draw).with_columns(ood_dataset=pl.lit(OOD))
        return _Rows(frame)


def sentences(lake: _DrawnLake) -> Iterator[tuple[str, str]]:
    """What the report says of a lake: each sentence without markup, and its section."""
    context, wanted = Context(lake, "main"), {wording.section for wording in WORDINGS}
    for section in sections():
        if section.name in wanted:
            for finding in section.build(context).findings:
                yield section.name, re.sub(r"<[^>]+>", "", str(getattr(finding, "said", finding)))


def report(lake: TableLake, cell: Cell, lakes: int) -> Said:
    """Draw lakes with one OOD set, and read what the report says of each.

    Args:
        lake: What holds them, many at a time.
        cell: What to draw from.
        lakes: How many.
    """
    generator, pool, said = np.random.default_rng((1, cell.models, round(10 * cell.alike))), design(cell.models), Said()
    put_design(lake, pool)
    for first in range(0, lakes, _BATCH):
        names = [f"draw-{number}" for number in range(first, min(first + _BATCH, lakes))]
        drawn = draw(generator, pool, cell.truth, len(names), cell.alike, len(MEASURES))
        put_drawn(lake, pool, drawn, names)
        held: dict[Any, pl.DataFrame] = {}
        for name in names:
            said.add(sentences(_DrawnLake(lake, name, held)), cell.truth)
            put_geometry(lake, pool, draw(generator, pool, "none", 1, cell.alike, len(MEASURES)).geometry)
    return said
