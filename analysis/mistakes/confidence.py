"""Calibration: whether a model is right as often as it is sure, from the softmax of its logits as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.mistakes.predicted import Predicted

    Floats = NDArray[np.float64]

BINS = 15


@dataclass(frozen=True, slots=True)
class Calibrated:
    """How sure a model is of labelled samples, and how right; a confidence is the largest softmax probability.

    Attributes:
        n: Samples.
        accuracy: Share that is right.
        confidence: Mean confidence.
        ece: Expected calibration error in 15 bins of equal width.
        ece_equal_mass: The same in 15 bins of as many samples each.
        nll: Mean negative log-likelihood of the labels, in nats.
        brier: Mean Brier score over all classes, from 0 to 2.
    """

    n: int
    accuracy: float
    confidence: float
    ece: float
    ece_equal_mass: float
    nll: float
    brier: float


def calibrated(predicted: Predicted) -> Calibrated:
    """Average over samples, at least one.

    Source: Guo et al. 2017 (arXiv 1706.04599), ECE in 15 bins of equal width; Nguyen & O'Connor 2015 (arXiv 1508.05154),
    bins of equal mass; Brier 1950, the score over all classes.
    """
    confidence, right = predicted.confidence, predicted.right.astype(np.float64)
    return Calibrated(
        n=len(right),
        accuracy=float(right.mean()),
        confidence=float(confidence.mean()),
        ece=ece(confidence, right),
        ece_equal_mass=ece_equal_mass(confidence, right),
        nll=float(predicted.nll.mean()),
        brier=float(predicted.brier.mean()),
    )


def ece(confidence: Floats, right: Floats) -> float:
    """Mean over samples of |accuracy - mean confidence| of their bin: (0, 1/15], (1/15, 2/15], …, (14/15, 1].

    Args:
        confidence: Shape [n].
        right: 1 where the model is right, else 0, shape [n].
    """
    bins = np.searchsorted(np.arange(1, BINS) / BINS, confidence)
    return float(np.abs(np.bincount(bins, right - confidence)).sum()) / len(right)


def ece_equal_mass(confidence: Floats, right: Floats) -> float:
    """The same with bins of as many samples each, in order of confidence; the first ones have one more where n is no multiple.

    Samples of equal confidence may be on both sides of a border: each counts as right as they are on average.
    """
    values, inverse, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    gaps = np.bincount(inverse, right) / counts - values
    return float(sum(abs(of.sum()) for of in np.array_split(np.repeat(gaps, counts), BINS))) / len(right)
