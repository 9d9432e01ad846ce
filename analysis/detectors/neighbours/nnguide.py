"""Nearest-neighbour guidance: energy times how much the nearest fit samples point the same way, weighted by their energy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import OPENOOD, Detector, FitInputs
from analysis.detectors.neighbours.bank import Bank, products
from analysis.detectors.neighbours.knn import neighbours, sampled, share_of_bank
from analysis.rows.activations import normalise
from analysis.statistics.sampled_rows import share_with_energy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations

_FEW = 64
"""Of a bank so many times larger than K, the largest products are found in float32."""


@dataclass(frozen=True, slots=True, eq=False)
class NnguideFit:
    """Fit samples to be guided by.

    Attributes:
        bank: Unit features times their energy.
        neighbours: K, at most k.
    """

    bank: Bank
    neighbours: int


def score(fit: NnguideFit, activations: Activations) -> NDArray[np.float64]:
    """Return E times the mean of the K largest <b, h / ||h||> over the bank, shape [n]."""
    return activations.log_sum_exp * _guidance(fit, activations)


def _guidance(fit: NnguideFit, activations: Activations) -> NDArray[np.float64]:
    if len(fit.bank) > _FEW * fit.neighbours:
        return fit.bank.mean_of_largest(activations, fit.neighbours)
    # So many would be multiplied one by one that all of them together take less time in float64.
    first = len(fit.bank) - fit.neighbours
    found = np.empty(len(activations))
    for rows, guides in products(fit.bank.rows, activations):
        guides.partition(first, axis=1)
        found[rows] = guides[:, first:].mean(axis=1)
    return found


def fit(inputs: FitInputs, *, share: float, k: int) -> NnguideFit:
    """Take the sampled rows, weighted by their energy."""
    rows = inputs.need(share_with_energy(share))
    size = len(rows["energy"])
    if size < k:
        inputs.warnings.append(
            f"nnguide takes the mean over K = {size} neighbours in place of {k}: its bank has no more"
        )
    return NnguideFit(Bank.of(normalise(rows["feature"]) * rows["energy"][:, None]), min(k, size))


NNGUIDE = Detector(
    name="nnguide",
    title="NNGuide",
    formula="E mean of the K largest <b, h / ||h||_2> over a bank of E_t h_t / ||h_t||_2, E = log sum_c exp(z_c)",
    source="Park, Jung & Teoh 2023, arXiv 2309.14888",
    score=score,
    fit=fit,
    fitted_on="a seeded 1 % of the fit features and logits",
    needs=sampled,
    needs_logits=True,
    hyperparameters=(share_of_bank(0.01), neighbours(1000, "K: how many of the nearest guide; all of a smaller bank")),
)

OPENOOD_NNGUIDE = replace(
    NNGUIDE,
    name="nnguide.openood",
    hyperparameters=(share_of_bank(0.01), neighbours(100, "K: how many of the nearest guide; all of a smaller bank")),
    convention=OPENOOD,
)
