"""Negative entropy of the softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import Detector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


def score(_fit: None, activations: Activations) -> NDArray[np.float64]:
    """Return sum_c p_c log p_c = sum_c p_c (z_c - max z) - log sum_c exp(z_c - max z), shape [n]."""
    return activations.memo.get("negative_entropy", lambda: _negative_entropy(activations))


def _negative_entropy(activations: Activations) -> NDArray[np.float64]:
    normaliser = activations.softmax_normaliser
    mean = np.einsum("nc,nc->n", activations.exponentials, activations.shifted_logits) / normaliser
    return np.asarray(mean - np.log(normaliser))


DETECTOR = Detector(
    name="entropy",
    title="Entropy",
    formula="sum_c p_c log p_c, p = softmax(z)",
    source="Shannon 1948, doi 10.1002/j.1538-7305.1948.tb01338.x",
    score=score,
    needs_logits=True,
)
