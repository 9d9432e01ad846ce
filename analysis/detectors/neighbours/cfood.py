"""Concentration-free outlier factor: the smallest neighbourhood at which enough references have the sample in theirs."""

from __future__ import annotations

from bisect import bisect_left
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.algebra.blas import one_thread
from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.detectors.neighbours.bank import chunks, products
from analysis.rows.activations import normalise
from analysis.statistics.sampled_rows import share_of_features
from featurestore.errors import InputError
from featurestore.machine import cores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.statistics.statistic import Statistic

_GRID = np.concatenate([np.linspace(0.001, 0.1, 100), np.linspace(0.105, 0.5, 81), np.linspace(0.51, 0.99, 49)])
# Cosines of unit vectors in float64 are right to about 1e-15: what is nearer than this is a tie, which counts.
_TIE = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class CfoodFit:
    """References, and how near a sample must be to be in the neighbourhood of each.

    Attributes:
        bank: Unit features, float64, shape [n, D].
        sizes: Neighbourhoods as shares q, ascending, float64, shape [G].
        reach: Cosine of each reference to its (int(q n - 1) + 1)-th nearest other one, float64, shape [G, n].
    """

    bank: NDArray[np.float64]
    sizes: NDArray[np.float64]
    reach: NDArray[np.float64]


def references(*, alpha: float) -> tuple[Statistic, ...]:
    """The references."""
    return (share_of_features(alpha),)


def fit(inputs: FitInputs, *, alpha: float) -> CfoodFit:
    """Find the reach of every reference for every size of neighbourhood.

    Raises:
        InputError: There is but one reference.
    """
    bank = normalise(inputs.need(share_of_features(alpha))["feature"])
    count = len(bank)
    if count < 2:
        raise InputError(
            f"cfood compares references with each other, and a share of {alpha:g} of the fit set has {count}: extract a larger one."
        )
    # Truncated towards zero, so that the smallest neighbourhood of a small bank is one other reference.
    positions, first = np.unique((_GRID * count - 1).astype(int), return_index=True)
    reach = np.empty((len(positions), count))

    def fill(rows: slice) -> None:
        cosines = bank[rows] @ bank.T
        own = np.arange(rows.start, rows.start + len(cosines))
        cosines[np.arange(len(own)), own] = -np.inf
        cosines.sort(axis=1)
        reach[:, own] = cosines[:, count - 1 - positions].T

    with one_thread(), ThreadPoolExecutor(cores()) as pool:
        list(pool.map(fill, chunks(count, count)))
    return CfoodFit(bank, _GRID[first], reach)


def score(fit: CfoodFit, activations: Activations, *, k: float) -> NDArray[np.float64]:
    """Return -kappa, shape [n].

    kappa is the smallest size q at which a share of at least k of the references reach the sample, 1 if none is.
    """
    kappa = np.empty(len(activations))
    for rows, cosines in products(fit.bank, activations):
        kappa[rows] = [_smallest(fit, row, k) for row in np.add(cosines, _TIE, out=cosines)]
    return -kappa


def _smallest(fit: CfoodFit, cosines: NDArray[np.float64], share: float) -> float:
    """The smallest size at which enough references reach a sample, by bisection: larger sizes reach further."""

    def reaching(size: int) -> float:
        return np.count_nonzero(cosines >= fit.reach[size]) / len(cosines)

    found = bisect_left(range(len(fit.sizes)), share, key=reaching)
    return float(fit.sizes[found]) if found < len(fit.sizes) else 1.0


CFOOD = Detector(
    name="cfood",
    title="CFOOD",
    formula="-min {q: a share k of the references t have cos(h, h_t) >= that to their (int(q n - 1) + 1)-th nearest other}",
    source="Angiulli 2020, arXiv 1901.04992, on unit features",
    score=score,
    fit=fit,
    fitted_on="a seeded 10 % of the fit features",
    needs=references,
    hyperparameters=(
        Hyperparameter("alpha", 0.1, 0.0001, 1.0, "share of the fit rows that are references"),
        Hyperparameter("k", 0.01, 0.0, 1.0, "share of the references that must have the sample in their neighbourhood"),
    ),
    on_request=True,
)
