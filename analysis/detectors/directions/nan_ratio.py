"""Mean absolute value of the feature's non-zero entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import Detector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


def score(_fit: None, activations: Activations) -> NDArray[np.float64]:
    """Return ||h||_1 / ||h||_0, shape [n]; a feature that is zero throughout has none."""
    features = activations.feature64
    return np.asarray(np.abs(features).sum(axis=1) / np.count_nonzero(features, axis=1))


DETECTOR = Detector(
    name="nan-ratio",
    title="NaN",
    formula="||h||_1 / ||h||_0",
    source="Park et al. 2023, arXiv 2310.05316",
    score=score,
)
