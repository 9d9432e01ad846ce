"""A report's lake executes each query once, and answers as a lake does."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from polars.testing import assert_frame_equal

from analysis.report import write_report
from analysis.report.context import CachingLake
from benchmarks.lakes.random_scores import Shape, make
from featurestore.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from pathlib import Path

    import pytest

QUERY = "select model, avg(fpr95) as mean from metrics group by model order by model"


class Counted:
    """A relation that counts how often it is executed."""

    def __init__(self, relation: Any, count: Callable[[], None]) -> None:
        self._relation, self._count = relation, count

    def __getattr__(self, name: str) -> Any:
        self._count()
        return getattr(self._relation, name)


def test_what_was_answered_stays_and_can_be_read_again(tmp_path: Path) -> None:
    """Models that come later are in a lake's answers, and not in those that the report has heard."""
    lake = make(tmp_path / "lake", Shape(models=2))
    caching = CachingLake(lake)
    first, asked = caching.sql(QUERY), caching.ask("best_detector")
    assert_frame_equal(first.pl(), lake.sql(QUERY).pl())
    make(tmp_path / "lake", Shape(models=3))
    assert [len(first.pl()), len(caching.sql(QUERY).pl()), len(lake.sql(QUERY).pl())] == [2, 2, 3]
    assert asked is caching.ask("best_detector")
    assert len(asked.pl()) < len(lake.ask("best_detector").pl())
    pooled = caching.ask("best_detector", aggregation="pooled")
    assert_frame_equal(pooled.pl(), lake.ask("best_detector", aggregation="pooled").pl())


def test_a_report_executes_each_distinct_query_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sections and studies ask the same again and again; the lake is not."""
    lake = make(tmp_path / "lake", Shape(models=6, soup=True))
    executed: Counter[Hashable] = Counter()
    sql, ask = Lake.sql, Lake.ask

    def counted_sql(self: Lake, query: str) -> Any:
        return Counted(sql(self, query), lambda: executed.update([query]))

    def counted_ask(self: Lake, question: str, filters: Any = None, /, **parameters: Any) -> Any:
        key = (question, filters, *sorted(parameters.items()))
        return Counted(ask(self, question, filters, **parameters), lambda: executed.update([key]))

    monkeypatch.setattr(Lake, "sql", counted_sql)
    monkeypatch.setattr(Lake, "ask", counted_ask)
    write_report(lake, tmp_path / "out.html")
    assert len(executed) > 15
    assert set(executed.values()) == {1}
