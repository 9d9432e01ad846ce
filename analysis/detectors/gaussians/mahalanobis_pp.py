"""Mahalanobis distance to the nearest class, on normalised features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.algebra.gaussian import GaussianFit
from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.gaussians.distances import class_fit, class_score
from analysis.statistics.class_statistics import UNIT_CLASS_STATISTICS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


def fit(inputs: FitInputs) -> GaussianFit:
    """Fit class means and a tied covariance of unit features."""
    return class_fit(inputs, UNIT_CLASS_STATISTICS)


def score(fit: GaussianFit, activations: Activations) -> NDArray[np.float64]:
    """Return -min_c (u - mu_c)' S^+ (u - mu_c) with u = h / ||h||_2, shape [n]."""
    return class_score(fit, activations.normalised64, activations.memo)


DETECTOR = Detector(
    name="mahalanobis-pp",
    title="Mahalanobis++",
    formula="-min_c (u - mu_c)' S^+ (u - mu_c), u = h / ||h||_2, also at fit",
    source="Mueller & Hein 2025, arXiv 2505.18032",
    score=score,
    fit=fit,
    fit_type=GaussianFit,
    fitted_on="fit features and labels",
    needs=(UNIT_CLASS_STATISTICS,),
    version=2,
)
