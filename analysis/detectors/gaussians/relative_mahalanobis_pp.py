"""Relative Mahalanobis distance on normalised features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.gaussians.distances import RelativeFit, relative_fit, relative_score
from analysis.statistics.class_statistics import UNIT_CLASS_STATISTICS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


def fit(inputs: FitInputs) -> RelativeFit:
    """Fit class means, a tied covariance, and one Gaussian of all unit features."""
    return relative_fit(inputs, UNIT_CLASS_STATISTICS)


def score(fit: RelativeFit, activations: Activations) -> NDArray[np.float64]:
    """Return (u - mu)' S0^+ (u - mu) - min_c (u - mu_c)' S^+ (u - mu_c) with u = h / ||h||_2, shape [n]."""
    return relative_score(fit, activations.normalised64, activations.memo)


DETECTOR = Detector(
    name="relative-mahalanobis-pp",
    title="Relative Mahalanobis++",
    formula="(u - mu)' S0^+ (u - mu) - min_c (u - mu_c)' S^+ (u - mu_c), u = h / ||h||_2, also at fit",
    source="Mueller & Hein 2025, arXiv 2505.18032",
    score=score,
    fit=fit,
    fit_type=RelativeFit,
    fitted_on="fit features and labels",
    needs=(UNIT_CLASS_STATISTICS,),
    version=2,
)
