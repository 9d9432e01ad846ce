from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from analysis.geometry.projections import WITHIN_KURTOSIS
from analysis.rows.lake_rows import Rows
from analysis.statistics.statistic import Statistic, SweepContext, with_earlier
from analysis.statistics.sweep import LANES, gather, lanes_of
from benchmarks.lakes import activations, put
from featurestore import Lake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def test_lanes_do_not_depend_on_who_works_on_them() -> None:
    """All pieces, in order, in at most LANES stretches whose lengths differ by one; of a few pieces there are fewer."""
    for count, expected in (
        (0, 0),
        (1, 1),
        (8, 1),
        (9, 2),
        (25, 4),
        (8 * LANES, LANES),
        (8 * LANES + 1, LANES),
        (625, LANES),
    ):
        pieces = [lambda: None] * count
        lanes = lanes_of(pieces)  # type: ignore[arg-type]
        assert sum(map(len, lanes)) == count
        assert len(lanes) == expected
        assert count == 0 or max(map(len, lanes)) - min(map(len, lanes)) <= 1


def test_each_sweep_is_told_each_row_once(tmp_path: Path) -> None:
    """What comes after another statistic needs a sweep more; no progress runs past the rows that there are."""
    lake = Lake(tmp_path / "lake")
    samples = np.arange(50)
    vectors = np.random.default_rng(0).normal(size=(50, 3))
    rows = activations(samples, samples % 2, vectors, vectors[:, :2])
    put(lake, "activations", {"model": "m", "dataset": "train"}, rows)
    told: list[int] = []

    @contextmanager
    def bar() -> Iterator[Callable[[int], None]]:
        told.append(0)

        def advance(rows: int) -> None:
            told[-1] += rows

        yield advance

    gather(Rows(lake, "m", "train"), [WITHIN_KURTOSIS], SweepContext(classes=2, dim=3, rows=50), bar)
    assert told == [50, 50]


def test_what_is_known_is_not_gathered_again_nor_what_it_came_after() -> None:
    """Each statistic stands once, behind what it comes after."""
    first, second = Statistic("first", WITHIN_KURTOSIS.start), Statistic("second", WITHIN_KURTOSIS.start)
    both = Statistic("both", first.start, after=(second, first))
    last = Statistic("last", first.start, after=(both, first))
    assert [s.name for s in with_earlier([last, second])] == ["second", "first", "both", "last"]
    assert [s.name for s in with_earlier([last], {"both"})] == ["first", "last"]
    assert [s.name for s in with_earlier([last], {"both", "first"})] == ["last"]
