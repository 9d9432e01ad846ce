"""Distance to the K-th nearest fit sample, on normalised features."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from analysis.detectors.detector import OPENOOD, Detector, FitInputs
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.detectors.neighbours.bank import Bank
from analysis.detectors.neighbours.nearest import check_size, nearest
from analysis.rows.activations import normalise
from analysis.statistics.sampled_rows import share_with_energy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.statistics.statistic import Statistic

_SOURCE = "Sun et al. 2022, arXiv 2204.06507"


def share_of_bank(default: float) -> Hyperparameter:
    """The share of the fit rows that a detector compares with."""
    return Hyperparameter("share", default, 0.0001, 1.0, "share of the fit rows that are the bank")


def neighbours(default: int, meaning: str) -> Hyperparameter:
    """K."""
    return Hyperparameter("k", default, 1, math.inf, meaning, stored="neighbours")


def sampled(*, share: float) -> tuple[Statistic, ...]:
    """The bank, with the energy of each row."""
    return (share_with_energy(share),)


def fit(inputs: FitInputs, *, share: float, k: int) -> Bank:
    """Take the sampled rows.

    Raises:
        InputError: They are fewer than K.
    """
    bank = normalise(inputs.need(share_with_energy(share))["feature"])
    check_size(k, len(bank), "knn.sampled")
    return Bank.of(bank)


def score(fit: Bank, activations: Activations, *, k: int) -> NDArray[np.float64]:
    """Return minus the squared distance to the K-th nearest of the bank, shape [n]."""
    return -fit.kth_distance(activations, k)


KNN: Detector[None] = Detector(
    name="knn",
    title="KNN",
    formula="-||u - u_(K)||_2^2 with u_(K) the K-th nearest of the fit set, u = h / ||h||_2",
    source=_SOURCE,
    compare=partial(nearest, name="knn"),
    fitted_on="fit features",
    hyperparameters=(neighbours(1000, "K: which of the nearest neighbours is measured"),),
    on_request=True,
)

OPENOOD_KNN = replace(
    KNN,
    name="knn.openood",
    compare=partial(nearest, name="knn.openood"),
    hyperparameters=(neighbours(50, "K: which of the nearest neighbours is measured"),),
    convention=OPENOOD,
)

SAMPLED = Detector(
    name="knn.sampled",
    title="KNN (1 %)",
    formula="-||u - u_(K)||_2^2 with u_(K) the K-th nearest of a share of the fit set, u = h / ||h||_2",
    source=_SOURCE,
    score=score,
    fit=fit,
    fitted_on="a seeded 1 % of the fit features",
    needs=sampled,
    hyperparameters=(share_of_bank(0.01), neighbours(10, "K: which of the nearest neighbours is measured")),
    stands_in=True,
)
