"""Generalised entropy of the largest probabilities."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import Detector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations

GAMMA, LARGEST = 0.1, 100


def score(_fit: None, activations: Activations) -> NDArray[np.float64]:
    """Return -sum over the M largest p of p^g (1 - p)^g, shape [n], with 1 - p of the largest as the sum of the others."""
    exponentials = activations.exponentials
    count = min(LARGEST, exponentials.shape[1])
    ordered = np.partition(exponentials, -count, axis=1)
    rows = np.arange(len(ordered))
    top = ordered[:, -count:]
    # The largest exponential is 1. Without it the others' sum keeps digits that 1 - p has not.
    first = top.argmax(axis=1)
    top[rows, first] = 0.0
    others = ordered.sum(axis=1)
    normaliser = 1.0 + others
    shares = top / normaliser[:, None]
    products = shares * (1.0 - shares)
    products[rows, first] = others / normaliser**2
    return np.asarray(-(products**GAMMA).sum(axis=1))


DETECTOR = Detector(
    name="gen",
    title="GEN",
    formula="-sum over the M largest p of p^g (1 - p)^g, p = softmax(z)",
    source="Liu et al. 2023, CVPR, GEN: Pushing the Limits of Softmax-Based Out-of-Distribution Detection",
    score=score,
    needs_logits=True,
    hyperparameters=MappingProxyType({"gamma": GAMMA, "largest": LARGEST}),
)
