"""Mahalanobis distance to the nearest class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.algebra.gaussian import GaussianFit
from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.gaussians.distances import class_fit, class_score
from analysis.statistics.class_statistics import CLASS_STATISTICS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


def fit(inputs: FitInputs) -> GaussianFit:
    """Fit class means and a tied covariance."""
    return class_fit(inputs, CLASS_STATISTICS)


def score(fit: GaussianFit, activations: Activations) -> NDArray[np.float64]:
    """Return -min_c (h - mu_c)' S^+ (h - mu_c), shape [n]."""
    return class_score(fit, activations.feature64, activations.memo)


DETECTOR = Detector(
    name="mahalanobis",
    title="Mahalanobis",
    formula="-min_c (h - mu_c)' S^+ (h - mu_c)",
    source="Lee et al. 2018, arXiv 1807.03888",
    score=score,
    fit=fit,
    fit_type=GaussianFit,
    fitted_on="fit features and labels",
    needs=(CLASS_STATISTICS,),
    version=2,
)
