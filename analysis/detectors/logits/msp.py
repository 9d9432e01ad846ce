"""Maximum softmax probability."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.detectors.detector import Detector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


def score(_fit: None, activations: Activations) -> NDArray[np.float64]:
    """Return max_c softmax(z)_c = 1 / sum_c exp(z_c - max z), shape [n]."""
    return 1.0 / activations.softmax_normaliser


DETECTOR = Detector(
    name="msp",
    title="MSP",
    formula="max_c softmax(z)_c",
    source="Hendrycks & Gimpel 2017, arXiv 1610.02136",
    score=score,
    needs_logits=True,
)
