"""How far a learner that had seen the answer could be better than the head (pNML): the regret of its last layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy

from analysis.algebra.class_scatter import require_samples
from analysis.algebra.gaussian import rounding_variance, solver_rounding
from analysis.detectors.detector import Detector, FitInputs
from analysis.rows.checks import same_dimensions
from analysis.statistics.class_statistics import UNIT_CLASS_STATISTICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations

# So many that what is computed of them for 1,000 classes stays near the processor.
_ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True, eq=False)
class SecondMoment:
    """Coordinates in which the sum of u u' over the fit samples, u = h / ||h||_2, is the identity.

    Attributes:
        whitening: V / sqrt(lambda) over the kept eigenpairs of that sum, float64, shape [D, rank].
    """

    whitening: NDArray[np.float64]


def fit(inputs: FitInputs) -> SecondMoment:
    """Decompose sum u u' = total + N mu mu', without the directions along which there is nothing but rounding.

    Raises:
        InputError: The statistics hold no samples.
    """
    statistics = inputs.class_statistics(UNIT_CLASS_STATISTICS)
    samples, mean = require_samples(statistics), statistics.mean
    values, vectors = scipy.linalg.eigh(statistics.total + samples * np.outer(mean, mean), driver="evd")
    rounding = samples * (rounding_variance(statistics, inputs.dtype) @ vectors**2)
    kept = values > np.maximum(solver_rounding(len(values), values[-1]), rounding)
    return SecondMoment(vectors[:, kept] / np.sqrt(values[kept]))


def score(fit: SecondMoment, activations: Activations) -> NDArray[np.float64]:
    """Return minus the regret log sum_c p_c / (p_c + (1 - p_c) p_c^g) / log C, shape [n].

    Raises:
        InputError: The features have other dimensions than the fit, or than the head.
    """
    same_dimensions(activations.feature, len(fit.whitening))
    head, rows = activations.need_head(), activations.normalised64
    excess = np.empty(len(rows))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE]
        along = part @ fit.whitening
        length = np.einsum("nr,nr->n", along, along)
        logits = part @ head.weight.T
        logits += head.bias
        excess[start : start + _ROWS_AT_ONCE] = _excess(logits, length / (1 + length))
    return np.asarray(-np.log1p(excess) / np.log(max(len(head.weight), 2)))


def _excess(logits: NDArray[np.float64], gain: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much the sum of the genies' probabilities exceeds 1, shape [n]; overwrites the logits.

    p / (p + (1 - p) p^g) - p = p (1 - p) (1 - p^g) / (p + (1 - p) p^g) is never negative, so that the sum over the classes
    keeps its digits where the head is all but certain; so does 1 - p of the first class, as the sum of the others.
    """
    every = np.arange(len(logits))
    first = logits.argmax(axis=1)
    logits -= logits[every, first][:, None]
    shares = np.exp(logits)
    shares[every, first] = 0.0
    others = shares.sum(axis=1)
    shares /= (1.0 + others)[:, None]
    rest = 1.0 - shares
    shares[every, first], rest[every, first] = 1.0 / (1.0 + others), others / (1.0 + others)
    logits -= np.log1p(others)[:, None]
    logits *= gain[:, None]
    left = -np.expm1(logits, out=logits)
    above = shares * rest
    above *= left
    # Of a class of probability zero, nothing by nothing is nothing.
    rest *= np.subtract(1.0, left, out=left)
    rest += shares
    rest += np.finfo(np.float64).tiny
    above /= rest
    return np.asarray(above.sum(axis=1))


PNML = Detector(
    name="pnml",
    title="pNML",
    formula=(
        "-log sum_c p_c / (p_c + (1 - p_c) p_c^g) / log C, g = x / (1 + x), x = u' (sum of u u' over the fit samples)^+ u, "
        "u = h / ||h||_2, p = softmax(W u + b)"
    ),
    source="Bibas, Feder & Hassner 2021, arXiv 2110.09246",
    score=score,
    fit=fit,
    fitted_on="fit features and labels",
    needs=(UNIT_CLASS_STATISTICS,),
    needs_head=True,
)
