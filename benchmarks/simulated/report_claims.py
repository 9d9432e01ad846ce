"""What sentences of the report claim: which words make a finding, and which say that there is none."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from analysis.report.context import CachingLake, Context
from analysis.report.sections.section import sections
from benchmarks.simulated.designs import design
from benchmarks.simulated.draws import draw
from benchmarks.simulated.table_lake import MEASURES, TableLake, put_design, put_drawn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.simulated.draws import Truth


@dataclass(frozen=True, slots=True)
class Wording:
    """How one kind of sentence reads.

    Attributes:
        section: The section that says it.
        what: What it is about.
        found: A regular expression of what it says where something is found.
        unclear: One of what it says where nothing is.
    """

    section: str
    what: str
    found: str
    unclear: str


WORDINGS = (
    Wording("accuracy", "accuracy and FPR", r"more accurate ones (accept|have)", r"hardly go together|too few"),
    Wording("detectors", "the best detector and the next", r"; with the next, ", r"cannot be told apart"),
    Wording("recipes", "an ingredient changes the FPR", r" changes ", r"no clear effect|may be chance"),
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
        lakes: How many.
        found: By wording, in how many of them at least one sentence is a finding.
        unknown: Sentences of no known wording.
    """

    lakes: int = 0
    found: dict[Wording, int] = field(default_factory=lambda: dict.fromkeys(WORDINGS, 0))
    unknown: list[str] = field(default_factory=list)

    def add(self, sentences: Iterable[tuple[str, str]]) -> None:
        """Count the sentences of one lake, each with its section."""
        self.lakes += 1
        found = set()
        for section, text in sentences:
            of_section = [wording for wording in WORDINGS if wording.section == section]
            says = [wording for wording in of_section if re.search(wording.found, text)]
            found |= set(says)
            if not says and not any(re.search(wording.unclear, text) for wording in of_section):
                self.unknown.append(text)
        for wording in found:
            self.found[wording] += 1


class _ReportedLake(CachingLake, TableLake):
    """A simulated lake as the report reads it."""


def sentences(lake: TableLake) -> Iterator[tuple[str, str]]:
    """What the report says of a lake: each sentence without markup, and its section."""
    context, wanted = Context(_ReportedLake(lake), "main"), {wording.section for wording in WORDINGS}
    for section in sections():
        if section.name in wanted:
            for finding in section.build(context).findings:
                yield section.name, re.sub(r"<[^>]+>", "", str(getattr(finding, "said", finding)))


def report(lake: TableLake, models: int, alike: float, truth: Truth, lakes: int) -> Said:
    """Draw lakes with one OOD set, and read what the report says of each.

    Args:
        lake: What holds them, one after the other.
        models: How many models each has.
        alike: The correlation of finetunes of one checkpoint.
        truth: What holds.
        lakes: How many.
    """
    generator, pool, said = np.random.default_rng((models, round(10 * alike))), design(models), Said()
    put_design(lake, pool)
    for _ in range(lakes):
        drawn = draw(generator, pool, truth, 1, alike, len(MEASURES))
        put_drawn(lake, pool, drawn, ["ninco"])
        lake.connection.execute("delete from stored.metrics where ood_dataset <> 'ninco'")
        lake.hold_effects()
        said.add(sentences(lake))
    return said
