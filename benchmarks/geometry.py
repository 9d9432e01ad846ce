"""All measures of the geometry of a model with 1,000 classes and 768 features, from the class statistics that its fit holds, in memory.

python -m benchmarks.geometry [--rounds 5]
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from analysis.algebra.class_scatter import ClassStatistics
from analysis.geometry.measures import mean_measures, principal_axes, scatter_measures
from analysis.rows.head import Head
from benchmarks.lakes.imagenet import CLASSES, FIT_ROWS, WIDTH
from benchmarks.measure import in_turns, measure
from benchmarks.record import Record, arguments

if TYPE_CHECKING:
    from collections.abc import Callable


def statistics_at_random(width: int) -> ClassStatistics:
    """Class statistics of the size that the fit dataset has, as a model's stored fit gives them."""
    rng = np.random.default_rng(0)
    # So many samples that the scatter has full rank, whose eigenvalues fall as those of real features do.
    spread = np.geomspace(1, 1e-3, width)[:, None] * rng.standard_normal((width, 4 * width))
    counts = np.full(CLASSES, FIT_ROWS // CLASSES)
    return ClassStatistics(counts, rng.standard_normal((CLASSES, width)), spread @ spread.T)


def geometry_of(width: int) -> Callable[[], None]:
    """All measures that follow from a stored fit."""
    statistics = statistics_at_random(width)
    head = Head(np.random.default_rng(1).standard_normal((CLASSES, width)), np.zeros(CLASSES))

    def look() -> None:
        found = scatter_measures(statistics) | mean_measures(statistics, head)
        principal_axes(statistics)
        assert np.isfinite(list(found.values())).all()

    return look


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--rounds", type=int, default=5)
    options = arguments(parser, width=64, rounds=2)
    record = Record("geometry", options)
    runs = in_turns(options.rounds, ours=partial(measure, geometry_of, options.width))
    with record.table(f"One model, {CLASSES:,} classes x {options.width}") as table:
        table.runs("all measures and axes", runs["ours"], most=5)
    record.close()


if __name__ == "__main__":
    main()
