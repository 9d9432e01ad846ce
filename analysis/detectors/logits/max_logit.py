"""Maximum logit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.detectors.detector import Detector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


def score(_fit: None, activations: Activations) -> NDArray[np.float64]:
    """Return max_c z_c, shape [n]."""
    return activations.max_logit


DETECTOR = Detector(
    name="max-logit",
    title="MaxLogit",
    formula="max_c z_c",
    source="Hendrycks et al. 2022, arXiv 1911.11132",
    score=score,
    needs_logits=True,
)
