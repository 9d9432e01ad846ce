"""Geometry of one model of the size of ImageNet, from the statistics that its fit holds.

python -m benchmarks.geometry
"""

from __future__ import annotations

import time

import numpy as np

from analysis.algebra.class_scatter import ClassStatistics
from analysis.geometry.measures import mean_measures, principal_axes, scatter_measures
from analysis.rows.head import Head
from benchmarks.lakes.imagenet import CLASSES, FIT_ROWS, WIDTH
from benchmarks.measure import best, measure

RUNS = 3


def statistics_at_random() -> ClassStatistics:
    """Class statistics of the size that the fit dataset has, as a model's stored fit gives them."""
    rng = np.random.default_rng(0)
    # So many samples that the scatter has full rank, whose eigenvalues fall as those of real features do.
    spread = np.geomspace(1, 1e-3, WIDTH)[:, None] * rng.standard_normal((WIDTH, 4 * WIDTH))
    counts = np.full(CLASSES, FIT_ROWS // CLASSES)
    return ClassStatistics(counts, rng.standard_normal((CLASSES, WIDTH)), spread @ spread.T)


def geometry_of(_: str) -> float:
    """All measures that follow from a stored fit."""
    statistics = statistics_at_random()
    head = Head(np.random.default_rng(1).standard_normal((CLASSES, WIDTH)), np.zeros(CLASSES))
    start = time.perf_counter()
    found = scatter_measures(statistics) | mean_measures(statistics, head)
    principal_axes(statistics)
    ended = time.perf_counter()
    assert np.isfinite(list(found.values())).all()
    return ended - start


def main() -> None:
    """Measure and print."""
    taken = best([measure(geometry_of, "") for _ in range(RUNS)])
    print(f"geometry: {CLASSES:,} classes x {WIDTH}; best of {RUNS}")
    print(f"  {'all measures from stored statistics':44} {taken.seconds:7.2f} s  {taken.megabytes:25,.0f} MB")


if __name__ == "__main__":
    main()
