"""Cosines between features and the directions of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featurestore.errors import InputError, NumericalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.algebra.class_scatter import ClassStatistics
    from analysis.rows.activations import Activations


@dataclass(frozen=True, slots=True, eq=False)
class ClassDirections:
    """Unit vectors along the mean features of the classes that have samples, float64, shape [K, D]."""

    directions: NDArray[np.float64]


def mean_directions(statistics: ClassStatistics) -> ClassDirections:
    """The directions of class means.

    Raises:
        InputError: The statistics hold no samples.
        NumericalError: A class has mean zero.
    """
    seen = np.flatnonzero(statistics.counts)
    if not len(seen):
        raise InputError("Class statistics without samples cannot be fitted; extract the fit dataset first.")
    return ClassDirections(unit_rows(statistics.means[seen], seen, "mean feature"))


def unit_rows(rows: NDArray[np.float64], classes: NDArray[np.int64], what: str) -> NDArray[np.float64]:
    """Rows divided by their norms, shape [K, D].

    Raises:
        NumericalError: A row is zero; names its class.
    """
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0.0)
    if not largest.all():
        number = int(classes[np.argmin(largest)])
        raise NumericalError(
            f"The {what} of class {number} is zero and has no direction to compare with; leave this detector out."
        )
    # Dividing by the largest entry first keeps the squares of very large and very small rows representable.
    scaled = rows / largest
    return np.asarray(scaled / np.linalg.norm(scaled, axis=1, keepdims=True))


def cosines(fit: ClassDirections, activations: Activations) -> NDArray[np.float64]:
    """Cosines of features and directions, float64, shape [n, K], computed once per block for detectors of equal fits.

    Raises:
        InputError: The features have other dimensions than the fit.
    """
    if activations.feature.shape[1] != fit.directions.shape[1]:
        raise InputError(
            f"Features of {activations.feature.shape[1]} dimensions meet a fit of {fit.directions.shape[1]}; "
            "fit and score with activations of one model."
        )
    return activations.memo.get(("cosines", fit), lambda: activations.normalised64 @ fit.directions.T)


def largest_softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest softmax of each row: 1 / sum_c exp(v_c - max v), shape [n]."""
    return np.asarray(1 / np.exp(values - values.max(axis=1, keepdims=True)).sum(axis=1))
