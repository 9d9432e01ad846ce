"""A report's lake answers each query once, and as a lake does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polars.testing import assert_frame_equal

from analysis.report.steady_lake import SteadyLake

from .lakes import Shape, make

if TYPE_CHECKING:
    from pathlib import Path

QUERY = "select model, avg(fpr95) as mean from metrics group by model order by model"


def test_what_was_answered_stays_and_can_be_read_again(tmp_path: Path) -> None:
    """Models that come later are in a lake's answers, and not in those that the report has heard."""
    lake = make(tmp_path / "lake", Shape(models=2))
    steady = SteadyLake(lake)
    first, asked = steady.sql(QUERY), steady.ask("best_detector")
    assert_frame_equal(first.pl(), lake.sql(QUERY).pl())
    make(tmp_path / "lake", Shape(models=3))
    assert [len(first.pl()), len(steady.sql(QUERY).pl()), len(lake.sql(QUERY).pl())] == [2, 2, 3]
    assert asked is steady.ask("best_detector")
    assert len(asked.pl()) < len(lake.ask("best_detector").pl())
    pooled = steady.ask("best_detector", aggregation="pooled")
    assert_frame_equal(pooled.pl(), lake.ask("best_detector", aggregation="pooled").pl())
