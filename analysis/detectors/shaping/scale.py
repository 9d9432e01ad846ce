"""Energy after scaling each sample's features by a factor of its own."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import Detector
from analysis.detectors.shaping.shaped_energy import energy_of, head_of, kept, largest_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations

PERCENTILE = 85


def score(_fit: None, activations: Activations) -> NDArray[np.float64]:
    """Return log sum_c exp(w_c h exp(sum h / sum top-k h) + b_c), shape [n]."""
    head, features = head_of(activations), activations.head_input64
    top = largest_sum(features, kept(features.shape[1], PERCENTILE))
    factors = np.exp(features.sum(axis=1) / top)
    return energy_of(features * factors[:, None], head.weight, head.bias)


DETECTOR = Detector(
    name="scale",
    title="SCALE",
    formula="log sum exp(W h exp(sum h / sum top-k h) + b), k = D - round(D p / 100)",
    source="Xu et al. 2024, arXiv 2310.00227",
    score=score,
    needs_head=True,
    assumes_nonnegative=True,
    hyperparameters=MappingProxyType({"percentile": PERCENTILE}),
)
