"""Norm of the head's gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import Detector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


def score(_fit: None, activations: Activations) -> NDArray[np.float64]:
    """Return ||C p - 1||_1 ||h||_1, shape [n].

    It is the 1-norm of the gradient by W of the sum over classes of -log p_c.
    """
    uneven = activations.probabilities * activations.probabilities.shape[1]
    uneven -= 1.0
    sizes = np.abs(activations.head_input64).sum(axis=1)
    return np.asarray(np.abs(uneven, out=uneven).sum(axis=1) * sizes)


DETECTOR = Detector(
    name="gradnorm",
    title="GradNorm",
    formula="||C p - 1||_1 ||h||_1, p = softmax(z): the 1-norm of the gradient by W of -sum_c log p_c",
    source="Huang et al. 2021, arXiv 2110.00218",
    score=score,
    needs_logits=True,
)
