"""Probability of an unknown class, taken from the top logits by how far they lie from their class's mean."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.algebra.weibull import fit_weibull
from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.rows.activations import log_sum_exp
from analysis.statistics.group_means import CORRECT_LOGITS, logit_tails
from featurestore.errors import NumericalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.statistics.statistic import Statistic

_ROWS_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class OpenMaxFit:
    """Where each class's logits lie, and how their largest distances from there are distributed.

    Attributes:
        means: Mean logits of the correctly classified fit samples of each class, float64, shape [C, C].
        nearest: Smallest distance in the tail of each class, shape [C].
        shapes: Weibull shape of the tail's distances less the smallest plus the translation, shape [C].
        scales: Weibull scale of the same, shape [C].
    """

    means: NDArray[np.float64]
    nearest: NDArray[np.float64]
    shapes: NDArray[np.float64]
    scales: NDArray[np.float64]


def needs(*, tail: int) -> tuple[Statistic, ...]:
    """Mean logits of the classes, and the largest distances from them."""
    return CORRECT_LOGITS, logit_tails(tail)


def fit(inputs: FitInputs, *, tail: int, translation: float) -> OpenMaxFit:
    """Fit a Weibull distribution to the tail of each class's distances.

    Raises:
        NumericalError: A class has fewer than two distinct distances in its tail; names it.
    """
    distances = inputs.need(logit_tails(tail))["distances"]
    held = distances >= 0
    nearest = np.where(held, distances, np.inf).min(axis=1, initial=np.inf)
    moved = np.where(held, distances - np.where(held.any(axis=1), nearest, 0.0)[:, None] + translation, 0.0)
    lacking = np.flatnonzero(moved.max(axis=1) <= translation)
    if len(lacking):
        raise NumericalError(
            f"Class {lacking[0]} has fewer than two distinct distances of correctly classified fit samples from their "
            f"mean ({len(lacking)} such classes): openmax fits no tail to that; add samples, or leave openmax out."
        )
    shapes, scales = fit_weibull(moved, held)
    return OpenMaxFit(inputs.need(CORRECT_LOGITS)["means"], nearest, shapes, scales)


def score(fit: OpenMaxFit, activations: Activations, *, alpha: int, translation: float) -> NDArray[np.float64]:
    """Return -e^u / (e^u + sum_c e^z'_c), shape [n], with z' and u as in the formula."""
    changed = activations.logits64.copy()
    rows = np.arange(len(changed))
    unknown = np.zeros(len(changed))
    ranked = []
    ranks = min(alpha, changed.shape[1])
    for rank in range(ranks):
        top = changed.argmax(axis=1)
        logit = changed[rows, top]
        taken = logit * _far(fit, activations.logits64, top, translation) * (ranks - rank) / ranks
        unknown += taken
        ranked.append((top, logit - taken))
        changed[rows, top] = -np.inf
    for top, logit in ranked:
        changed[rows, top] = logit
    return -1.0 / (1.0 + np.exp(log_sum_exp(changed) - unknown))


def _far(
    fit: OpenMaxFit, logits: NDArray[np.float64], classes: NDArray[np.int64], translation: float
) -> NDArray[np.float64]:
    """Weibull probability, in [0, 1], of a distance below that from the mean of the given class, shape [n]."""
    distances = np.empty(len(logits))
    for start in range(0, len(logits), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        away = fit.means[classes[part]]
        away -= logits[part]
        distances[part] = np.sqrt(np.einsum("nc,nc->n", away, away))
    moved = np.maximum(distances - fit.nearest[classes] + translation, 0.0)
    return -np.expm1(-((moved / fit.scales[classes]) ** fit.shapes[classes]))


OPENMAX = Detector(
    name="openmax",
    title="OpenMax",
    formula=(
        "-e^u / (e^u + sum_c e^z'_c), z'_c = z_c (1 - o_c w_c), u = sum_c (z_c - z'_c); o = (a + 1 - i) / a at rank i <= a of "
        "the logits, else 0; w_c = Weibull probability of a smaller ||z - mean z of c||_2, fitted to the tail of class c"
    ),
    source="Bendale & Boult 2016, arXiv 1511.06233",
    score=score,
    fit=fit,
    fitted_on="fit logits and labels of samples that are classified correctly",
    needs=needs,
    needs_logits=True,
    needs_features=False,
    hyperparameters=(
        Hyperparameter("alpha", 3, 1, math.inf, "a: how many of the largest logits give to the unknown class"),
        Hyperparameter("tail", 20, 2, math.inf, "largest distances of each class to which the Weibull is fitted"),
        Hyperparameter("translation", 1.0, 0.0, math.inf, "what is added to distances less the smallest"),
    ),
)
