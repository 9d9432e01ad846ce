"""Nearest-neighbour guidance: energy times how much the nearest fit samples point the same way, weighted by their energy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import NINCO, OPENOOD, Detector, FitInputs
from analysis.detectors.neighbours.knn import products
from analysis.rows.activations import normalise
from analysis.statistics.sampled_rows import ONE_PERCENT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


@dataclass(frozen=True, slots=True, eq=False)
class NnguideFit:
    """Fit samples to be guided by.

    Attributes:
        bank: Unit features times their energy, float64, shape [k, D].
        neighbours: K, at most k.
    """

    bank: NDArray[np.float64]
    neighbours: int


def score(fit: NnguideFit, activations: Activations) -> NDArray[np.float64]:
    """Return E times the mean of the K largest <b, h / ||h||> over the bank, shape [n]."""
    first = len(fit.bank) - fit.neighbours
    guidance = np.empty(len(activations))
    for rows, guides in products(fit.bank, activations):
        guides.partition(first, axis=1)
        guidance[rows] = guides[:, first:].mean(axis=1)
    return activations.log_sum_exp * guidance


def _fit(inputs: FitInputs, neighbours: int, name: str) -> NnguideFit:
    sampled = inputs.need(ONE_PERCENT)
    size = len(sampled["energy"])
    if size < neighbours:
        inputs.warnings.append(
            f"{name} takes the mean over K = {size} neighbours in place of {neighbours}: its bank has no more"
        )
    return NnguideFit(normalise(sampled["feature"]) * sampled["energy"][:, None], min(neighbours, size))


def _nnguide(name: str, neighbours: int, convention: str) -> Detector[NnguideFit]:
    return Detector(
        name=name,
        title="NNGuide",
        formula="E mean of the K largest <b, h / ||h||_2> over a bank of E_t h_t / ||h_t||_2, E = log sum_c exp(z_c)",
        source="Park, Jung & Teoh 2023, arXiv 2309.14888",
        score=score,
        fit=partial(_fit, neighbours=neighbours, name=name),
        fitted_on="a seeded 1 % of the fit features and logits",
        needs=(ONE_PERCENT,),
        needs_logits=True,
        hyperparameters={"share": 0.01, "neighbours": neighbours},
        convention=convention,
    )


NNGUIDE = _nnguide("nnguide", 1000, NINCO)
OPENOOD_NNGUIDE = _nnguide("nnguide.openood", 100, OPENOOD)
