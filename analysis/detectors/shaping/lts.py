"""Energy of logits that are scaled by how much of the feature its largest entries hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import Detector
from analysis.detectors.shaping.ash import dropped
from analysis.detectors.shaping.shaped_energy import kept, largest_sum
from analysis.rows.activations import log_sum_exp

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


def score(_fit: None, activations: Activations, *, percentile: int) -> NDArray[np.float64]:
    """Return log sum_c exp(s z_c), s = (sum h+ / sum of the k largest h+)^2, h+ = max(h, 0), shape [n].

    A feature without positive entries has s = 1, as one whose k largest entries are all that is positive.
    """
    positive = np.maximum(activations.feature64, 0.0)
    # Divided by the largest entry, the sums neither overflow nor vanish.
    largest = positive.max(axis=1, keepdims=True, initial=0.0)
    positive = np.divide(positive, largest, out=np.ones_like(positive), where=largest > 0)
    top = largest_sum(positive, kept(positive.shape[1], percentile))
    ratios = np.where(largest[:, 0] > 0, positive.sum(axis=1) / top, 1.0)
    return log_sum_exp(activations.logits64 * (ratios**2)[:, None])


LTS: Detector[None] = Detector(
    name="lts",
    title="LTS",
    formula="log sum_c exp(s z_c), s = (sum h+ / sum top-k h+)^2, h+ = max(h, 0), k = D - round(D p / 100)",
    source="Djurisic et al. 2024, arXiv 2409.01175",
    score=score,
    needs_logits=True,
    hyperparameters=dropped(95),
)
