"""Negative free energy at temperature 1."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from analysis.detectors.detector import Detector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


def score(_fit: None, activations: Activations) -> NDArray[np.float64]:
    """Return log sum_c exp(z_c), shape [n]."""
    return activations.log_sum_exp


DETECTOR = Detector(
    name="energy",
    title="Energy",
    formula="T log sum_c exp(z_c / T)",
    source="Liu et al. 2020, arXiv 2010.03759",
    score=score,
    needs_logits=True,
    hyperparameters=MappingProxyType({"temperature": 1.0}),
)
