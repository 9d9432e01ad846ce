"""Energy after scaling the largest features up and setting the others to 0."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import Detector
from analysis.detectors.shaping.shaped_energy import energy_of, head_of, kept, largest_entries

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations

PERCENTILE = 90


def score(_fit: None, activations: Activations) -> NDArray[np.float64]:
    """Return log sum_c exp(w_c s(h) + b_c), s(h) = h exp(sum h / sum top-k h) on the k largest entries, shape [n]."""
    head, features = head_of(activations), activations.head_input64
    largest = largest_entries(features, kept(features.shape[1], PERCENTILE))
    shaped = np.where(largest, features, 0.0)
    shaped *= np.exp(features.sum(axis=1) / shaped.sum(axis=1))[:, None]
    return energy_of(shaped, head.weight, head.bias)


DETECTOR = Detector(
    name="ash-s",
    title="ASH-S",
    formula=(
        "log sum exp(W s(h) + b), s(h) = h exp(sum h / sum top-k h) on the k = D - round(D p / 100) largest entries, else 0"
    ),
    source="Djurisic et al. 2023, arXiv 2209.09858",
    score=score,
    needs_head=True,
    assumes_nonnegative=True,
    hyperparameters=MappingProxyType({"percentile": PERCENTILE}),
)
