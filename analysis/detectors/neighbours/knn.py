"""Distance to the K-th nearest fit sample, on normalised features."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import NINCO, OPENOOD, Detector, FitInputs
from analysis.detectors.neighbours.nearest import check_size, nearest
from analysis.rows.activations import normalise
from analysis.rows.checks import same_dimensions
from analysis.statistics.sampled_rows import ONE_PERCENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from analysis.rows.activations import Activations

_SOURCE = "Sun et al. 2022, arXiv 2204.06507"
_SAMPLED_NEIGHBOURS = 10
_BYTES_AT_ONCE = 1 << 26


@dataclass(frozen=True, slots=True, eq=False)
class SampledBank:
    """Unit features of a share of the fit samples, float64, shape [k, D]."""

    bank: NDArray[np.float64]


def chunks(rows: int, bank: int) -> list[slice]:
    """Stretches of rows whose float64 products with a bank take 64 MB each."""
    at_once = max(1, _BYTES_AT_ONCE // (8 * max(bank, 1)))
    return [slice(start, start + at_once) for start in range(0, rows, at_once)]


def products(bank: NDArray[np.float64], activations: Activations) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield some rows at a time, and the products of their unit features with all of a bank."""
    same_dimensions(activations.feature, bank.shape[1])
    for rows in chunks(len(activations), len(bank)):
        yield rows, activations.normalised64[rows] @ bank.T


def fit(inputs: FitInputs) -> SampledBank:
    """Take the sampled rows.

    Raises:
        InputError: They are fewer than K.
    """
    bank = normalise(inputs.need(ONE_PERCENT)["feature"])
    check_size(_SAMPLED_NEIGHBOURS, len(bank), "knn.sampled")
    return SampledBank(bank)


def score(fit: SampledBank, activations: Activations) -> NDArray[np.float64]:
    """Return minus the squared distance to the K-th nearest of the bank, shape [n]."""
    kth = len(fit.bank) - _SAMPLED_NEIGHBOURS
    scores = np.empty(len(activations))
    for rows, cosines in products(fit.bank, activations):
        neighbour = fit.bank[np.argpartition(cosines, kth, axis=1)[:, kth]]
        # 2 - 2 cos would cancel where the neighbour is near.
        apart = activations.normalised64[rows] - neighbour
        scores[rows] = -np.einsum("nd,nd->n", apart, apart)
    return scores


def _knn(name: str, neighbours: int, convention: str) -> Detector[None]:
    return Detector(
        name=name,
        title="KNN",
        formula="-||u - u_(K)||_2^2 with u_(K) the K-th nearest of the fit set, u = h / ||h||_2",
        source=_SOURCE,
        compare=partial(nearest, neighbours=neighbours, name=name),
        fitted_on="fit features",
        hyperparameters={"neighbours": neighbours},
        convention=convention,
        on_request=True,
    )


KNN = _knn("knn", 1000, NINCO)
OPENOOD_KNN = _knn("knn.openood", 50, OPENOOD)
SAMPLED = Detector(
    name="knn.sampled",
    title="KNN (1 %)",
    formula="-||u - u_(K)||_2^2 with u_(K) the K-th nearest of 1 % of the fit set, u = h / ||h||_2",
    source=_SOURCE,
    score=score,
    fit=fit,
    fitted_on="a seeded 1 % of the fit features",
    needs=(ONE_PERCENT,),
    hyperparameters={"share": 0.01, "neighbours": _SAMPLED_NEIGHBOURS},
)
