"""Counting what came of claims: intervals that hold the truth, and findings where there is nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from benchmarks.simulated.designs import design
from benchmarks.simulated.draws import TRUTHS, draw
from benchmarks.simulated.table_lake import MEASURES, put_design, put_drawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.simulated.claims import Claim
    from benchmarks.simulated.draws import Truth
    from benchmarks.simulated.table_lake import TableLake

LOWEST, HIGHEST, MOST = 0.93, 0.97, 0.05


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

    @property
    def generator(self) -> np.random.Generator:
        """Its own source of randomness."""
        return np.random.default_rng((self.models, round(10 * self.alike), TRUTHS.index(self.truth)))


@dataclass(slots=True)
class Tally:
    """What came of one claim in one cell: numbers of each lake.

    Attributes:
        covered: Of each lake with intervals, the share of them that hold the truth; of those that hold at once, whether all do.
        given: Of each lake, the share of estimates that have an interval.
        found: Of each lake, whether anything was found.
        false: Of each lake, whether anything was found where the truth is nil.
        most: The largest share of lakes with intervals that hold the truth that is as wanted.
    """

    covered: list[float] = field(default_factory=list)
    given: list[float] = field(default_factory=list)
    found: list[bool] = field(default_factory=list)
    false: list[bool] = field(default_factory=list)
    most: float = HIGHEST

    def add(self, claim: Claim, answer: pl.DataFrame, truth: Truth) -> None:
        """Count the rows of one answer, in which each OOD set is a lake."""
        rows = claim.with_truth(answer, truth).filter(pl.col("true").is_not_null())
        given = pl.col(claim.low).is_not_null()
        holds = ((pl.col(claim.low) <= pl.col("true")) & (pl.col("true") <= pl.col(claim.high))).filter(given)
        found = claim.found.fill_null(value=False)
        by_lake = rows.group_by("ood_dataset").agg(
            covered=pl.when(given.any()).then(holds.all()).cast(pl.Float64) if claim.at_once else holds.mean(),
            given=given.mean(),
            found=found.any(),
            false=claim.wrong.fill_null(value=False).any(),
        )
        self.most = 1 if claim.at_once else HIGHEST
        self.covered += by_lake["covered"].drop_nulls().to_list()
        for name in ("given", "found", "false"):
            getattr(self, name).extend(by_lake[name].to_list())

    @property
    def text(self) -> str:
        """Coverage, false findings and all of them in percent; or that there is no interval, or nothing to ask."""
        if not self.given:
            return "–"
        numbers = [percent(self.covered, LOWEST, self.most) if self.covered else "none", percent(self.false, 0, MOST)]
        return " · ".join(numbers + ([percent(self.found, 0, 1)] if self.found != self.false else []))


def percent(values: Sequence[float], least: float = 0, most: float = 1) -> str:
    """The mean in percent, with a ! where it is beyond what is allowed by more than two Monte Carlo errors."""
    mean, count = float(np.mean(values)), len(values)
    # Where nothing varied, an error as if one lake had.
    error = max(float(np.std(values)), np.sqrt(count - 1) / count) / np.sqrt(count)
    is_beyond = mean < least - 2 * error or mean > most + 2 * error
    return f"{100 * mean:.1f}{'!' if is_beyond else ''}"


def simulate(lake: TableLake, cell: Cell, claims: Sequence[Claim], batches: int, draws: int) -> list[Tally]:
    """Draw lakes of one cell, and ask of them; a tally for each claim.

    Args:
        lake: What holds them, one batch after the other.
        cell: What to draw from.
        claims: What is claimed.
        batches: How many pools are drawn: geometry for each, all else for each draw.
        draws: How many lakes of each pool: its OOD sets, of which one question tells all.
    """
    generator, pool, tallies = cell.generator, design(cell.models), [Tally() for _ in claims]
    put_design(lake, pool)
    for _ in range(batches):
        drawn = draw(generator, pool, cell.truth, draws, cell.alike, len(MEASURES))
        put_drawn(lake, pool, drawn, [f"draw-{number}" for number in range(draws)])
        asked = {claim.asked: claim for claim in claims}
        answers = {key: lake.ask(claim.question, **claim.parameters).pl() for key, claim in asked.items()}
        for claim, tally in zip(claims, tallies, strict=True):
            tally.add(claim, answers[claim.asked], cell.truth)
    return tallies


def ranked(lake: TableLake, cell: Cell, draws: int) -> Tally:
    """Whether the question `detector_ranks` tells detectors apart, in lakes of one OOD set each.

    Where there are effects one detector is better, and the other two are alike.
    """
    generator, pool, tally = cell.generator, design(cell.models), Tally()
    put_design(lake, pool)
    names = [f"draw-{number}" for number in range(draws)]
    put_drawn(lake, pool, draw(generator, pool, cell.truth, draws, cell.alike, 1), names)
    for name in names:
        rows = lake.ask("detector_ranks", ood=name).pl()
        apart = dict(rows.select("detector", "told_apart").iter_rows())
        equal = rows.filter(pl.col("detector") != "mahalanobis")["alike"].explode().drop_nulls()
        is_found = any(apart.values())
        is_false = is_found if cell.truth == "none" else not set(equal) - {"mahalanobis"}
        tally.given.append(bool(rows["statistic"].null_count() < len(rows)))
        tally.found.append(is_found)
        tally.false.append(is_false)
    return tally
