"""How far a learner that had seen the answer could be better than the head (pNML): the regret of its last layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg

from analysis.algebra.class_scatter import require_samples
from analysis.algebra.gaussian import rounding_variance, solver_rounding
from analysis.detectors.detector import Detector, FitInputs
from analysis.rows.checks import same_dimensions
from analysis.statistics.class_statistics import UNIT_CLASS_STATISTICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.rows.head import Head


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
    values, vectors = linalg.eigh(statistics.total + samples * np.outer(mean, mean), driver="evd")
    rounding = samples * (rounding_variance(statistics, inputs.dtype) @ vectors**2)
    kept = values > np.maximum(solver_rounding(len(values), values[-1]), rounding)
    return SecondMoment(vectors[:, kept] / np.sqrt(values[kept]))


def score(fit: SecondMoment, activations: Activations) -> NDArray[np.float64]:
    """Return minus the regret log sum_c p_c / (p_c + (1 - p_c) p_c^g) / log C, shape [n].

    Raises:
        InputError: The features have other dimensions than the fit, or than the head.
    """
    same_dimensions(activations.feature, len(fit.whitening))
    rows = activations.normalised64
    along = rows @ fit.whitening
    length = np.einsum("nr,nr->n", along, along)
    excess = _excess(_logits(rows, activations.need_head()), length / (1 + length))
    classes = max(activations.need_head().weight.shape[0], 2)
    return np.asarray(-np.log1p(excess) / np.log(classes))


def _logits(rows: NDArray[np.float64], head: Head) -> NDArray[np.float64]:
    logits = rows @ head.weight.T
    logits += head.bias
    return np.asarray(logits)


def _excess(logits: NDArray[np.float64], gain: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much the sum of the genies' probabilities exceeds 1, shape [n]; overwrites the logits.

    p / (p + (1 - p) p^g) - p = (1 - p) (1 - p^g) / (1 + (1 - p) p^(g - 1)) is never negative, so that the sum over the
    classes keeps its digits where the head is all but certain; so does 1 - p of the first class, as the sum of the others.
    """
    every = np.arange(len(logits))
    first = logits.argmax(axis=1)
    logits -= logits[every, first][:, None]
    shares = np.exp(logits)
    shares[every, first] = 0.0
    others = shares.sum(axis=1)
    logits -= np.log1p(others)[:, None]
    rest = 1.0 - shares / (1.0 + others)[:, None]
    rest[every, first] = others / (1.0 + others)
    numerator = -np.expm1(gain[:, None] * logits) * rest
    # Of a class of probability zero the power overflows, and the class adds nothing.
    logits *= gain[:, None] - 1.0
    denominator = np.exp(logits, out=logits)
    denominator *= rest
    denominator += 1.0
    return np.asarray((numerator / denominator).sum(axis=1))


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
