"""Norms of the feature: with how uneven the softmax is (GradNorm), and by its non-zero entries (NaN)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import Detector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


def gradient_norm(_fit: None, activations: Activations) -> NDArray[np.float64]:
    """Return ||C p - 1||_1 ||h||_1, shape [n].

    It is the 1-norm of the gradient by the head's weights W of the sum over classes of -log p_c, with h what the head is fed:
    of the head it needs that there is one, with a W to derive by, and whether it normalises; the weights do not enter.
    """
    if activations.head is not None:
        activations.need_head()
    uneven = activations.probabilities * activations.probabilities.shape[1]
    uneven -= 1.0
    return np.asarray(np.abs(uneven, out=uneven).sum(axis=1) * activations.l1_norms)


def norm_ratio(_fit: None, activations: Activations) -> NDArray[np.float64]:
    """Return ||h||_1 / ||h||_0, shape [n]; a feature that is zero throughout has none."""
    features = activations.feature64
    return np.asarray(np.abs(features).sum(axis=1) / np.count_nonzero(features, axis=1))


GRADNORM: Detector[None] = Detector(
    name="gradnorm",
    title="GradNorm",
    formula=(
        "||C p - 1||_1 ||h||_1, p = softmax(z): the 1-norm of the gradient by W of -sum_c log p_c; h / ||h||_2 where a head normalises"
    ),
    source="Huang et al. 2021, arXiv 2110.00218",
    score=gradient_norm,
    needs_logits=True,
    needs_head=True,
)

NAN_RATIO: Detector[None] = Detector(
    "nan-ratio", "NaN", "||h||_1 / ||h||_0", "Park et al. 2023, arXiv 2310.05316", norm_ratio
)
