"""Maximum concept matching: MSP at a temperature of its own; at 1, on a classifier's logits, it is MSP itself."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from analysis.detectors.detector import Detector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


def score(_fit: None, activations: Activations) -> NDArray[np.float64]:
    """Return max_c softmax(z / t)_c at t = 1, shape [n]."""
    return 1.0 / activations.softmax_normaliser


DETECTOR = Detector(
    name="mcm",
    title="MCM",
    formula="max_c softmax(z / t)_c; at t = 1 the same as msp",
    source="Ming et al. 2022, arXiv 2211.13445",
    score=score,
    needs_logits=True,
    hyperparameters=MappingProxyType({"temperature": 1.0}),
)
