"""Whether intervals cover what they say, and how often something is found where there is nothing, in simulated lakes.

python -m benchmarks.coverage [--quick] [--only QUESTION,QUESTION] [--scale 1]

Rows of models, metrics, accuracy and geometry are drawn, and the questions that ship are asked of them. Numbers are percentages: of
intervals that hold the truth, and of lakes with a false finding; where something holds, also of lakes with a finding. A ! stands where
one of the first two is beyond what is allowed by more than two Monte Carlo errors.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from benchmarks.simulated.claims import CLAIMS
from benchmarks.simulated.designs import design
from benchmarks.simulated.draws import draw
from benchmarks.simulated.report_claims import WORDINGS, report
from benchmarks.simulated.table_lake import MEASURES, TableLake, put_design, put_drawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.simulated.claims import Claim
    from benchmarks.simulated.draws import Truth

LOWEST, HIGHEST, MOST = 0.93, 0.97, 0.05
TRUTHS: tuple[Truth, ...] = ("none", "effects", "related", "confounded")
POOLS = ((3, 0.4), (5, 0.4), (8, 0.4), (16, 0.4), (16, 0.8), (296, 0.0), (296, 0.4), (296, 0.8))
"""Numbers of models, each with the correlation of finetunes of one checkpoint."""
BATCHES, DRAWS, FEW = 20, 25, 10
"""Geometry is drawn for each batch, all else for each draw; of 296 models the draws are fewer."""
LAKES = 60
"""Reports that are read of each pool; of 296 models a quarter."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A pool to draw from.

    Attributes:
        models: How many.
        alike: The correlation of finetunes of one checkpoint.
        truth: What holds.
    """

    models: int
    alike: float
    truth: Truth


@dataclass(slots=True)
class Tally:
    """What came of one claim in one cell: numbers of each lake.

    Attributes:
        covered: Of each lake with intervals, the share of them that hold the truth.
        given: Of each lake, the share of estimates that have an interval.
        found: Of each lake, whether anything was found.
        false: Of each lake, whether anything was found where the truth is nil.
    """

    covered: list[float] = field(default_factory=list)
    given: list[float] = field(default_factory=list)
    found: list[bool] = field(default_factory=list)
    false: list[bool] = field(default_factory=list)

    def add(self, claim: Claim, answer: pl.DataFrame, truth: Truth) -> None:
        """Count the rows of one answer, in which each OOD set is a lake."""
        rows = claim.with_truth(answer, truth).filter(pl.col("true").is_not_null())
        given = pl.col(claim.low).is_not_null()
        holds = (pl.col(claim.low) <= pl.col("true")) & (pl.col("true") <= pl.col(claim.high))
        found = claim.found.fill_null(value=False)
        by_lake = rows.group_by("ood_dataset").agg(
            covered=holds.filter(given).mean(),
            given=given.mean(),
            found=found.any(),
            false=claim.wrong.fill_null(value=False).any(),
        )
        self.covered += by_lake["covered"].drop_nulls().to_list()
        for name in ("given", "found", "false"):
            getattr(self, name).extend(by_lake[name].to_list())

    @property
    def text(self) -> str:
        """Coverage, false findings and all of them in percent; or that there is no interval, or nothing to ask."""
        if not self.given:
            return "–"
        numbers = [_percent(self.covered, LOWEST, 1) if self.covered else "none", _percent(self.false, 0, MOST)]
        return " · ".join(numbers + ([_percent(self.found, 0, 1)] if self.found != self.false else []))


def _percent(values: Sequence[float], least: float, most: float) -> str:
    mean, error = float(np.mean(values)), float(np.std(values) / np.sqrt(len(values)))
    is_beyond = mean < least - 2 * error or mean > most + 2 * error
    return f"{100 * mean:.1f}{'!' if is_beyond else ''}"


def simulate(lake: TableLake, cell: Cell, claims: Sequence[Claim], batches: int, draws: int) -> list[Tally]:
    """Draw lakes of one cell, and ask of them; a tally for each claim.

    Args:
        lake: What holds them, one batch after the other.
        cell: What to draw from.
        claims: What is claimed.
        batches: How many pools are drawn.
        draws: How many lakes of each pool: its OOD sets.
    """
    generator = np.random.default_rng((cell.models, round(10 * cell.alike), TRUTHS.index(cell.truth)))
    pool, tallies = design(cell.models), [Tally() for _ in claims]
    put_design(lake, pool)
    for _ in range(batches):
        drawn = draw(generator, pool, cell.truth, draws, cell.alike, len(MEASURES))
        put_drawn(lake, pool, drawn, [f"draw-{number}" for number in range(draws)])
        answers = {claim.question: lake.ask(claim.question, **claim.parameters).pl() for claim in claims}
        for claim, tally in zip(claims, tallies, strict=True):
            tally.add(claim, answers[claim.question], cell.truth)
    return tallies


def table(
    lake: TableLake, claims: Sequence[Claim], truth: Truth, pools: Sequence[tuple[int, float]], scale: float
) -> list[str]:
    """One row of Markdown for each claim that has to do with a truth, of all pools."""
    claims = [claim for claim in claims if truth in claim.truths]
    columns = []
    for models, alike in pools:
        batches, draws = (BATCHES, DRAWS) if models < 296 else (BATCHES, FEW)
        columns.append(simulate(lake, Cell(models, alike, truth), claims, max(1, round(scale * batches)), draws))
    heads = " | ".join(f"{models} ({alike:g})" for models, alike in pools)
    rows = [f"| {claim.question}: {claim.estimate} | {claim.family} | " for claim in claims]
    cells = [" | ".join(tallies[i].text for tallies in columns) for i in range(len(claims))]
    return [f"| {truth} | family | {heads} |", "|---" * (len(pools) + 2) + "|"] + [
        f"{row}{of} |" for row, of in zip(rows, cells, strict=True)
    ]


def page(lake: TableLake, truth: Truth, pools: Sequence[tuple[int, float]], scale: float) -> list[str]:
    """One row of Markdown for each kind of sentence of the report: in how many lakes, in percent, it is a finding."""
    said = [
        report(lake, models, alike, truth, round(scale * (LAKES if models < 296 else LAKES // 4)))
        for models, alike in pools
    ]
    heads = " | ".join(f"{models} ({alike:g})" for models, alike in pools)
    rows = [
        f"| {wording.section}: {wording.what} | "
        + " | ".join(_percent([1.0] * of.found[wording] + [0.0] * (of.lakes - of.found[wording]), 0, 1) for of in said)
        + " |"
        for wording in WORDINGS
    ]
    unknown = [f"of no known wording: {text}" for text in sorted({text for of in said for text in of.unknown})]
    return [f"| the report says, {truth} | {heads} |", "|---" * (len(pools) + 1) + "|", *rows, *unknown]


def main() -> None:
    """Simulate all, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small pools and few lakes: seconds")
    parser.add_argument("--only", default="", help="questions, separated by commas")
    parser.add_argument("--scale", type=float, default=1.0, help="times as many lakes")
    options = parser.parse_args()
    claims = [claim for claim in CLAIMS if not options.only or claim.question in options.only.split(",")]
    start, lake = time.perf_counter(), TableLake()
    for truth in TRUTHS:
        pools = [pool for pool in POOLS if not options.quick or pool[0] < 16]
        print("\n".join(table(lake, claims, truth, pools, 0.1 if options.quick else options.scale)), flush=True)
    if not options.only:
        for truth in TRUTHS[:2]:
            pools = [pool for pool in POOLS if pool[0] in {5, 16, 296} and not (options.quick and pool[0] > 5)]
            print("\n".join(page(lake, truth, pools, 0.1 if options.quick else options.scale)), flush=True)
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
