"""Mahalanobis distance to the nearest class, relative to that of the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.gaussians.distances import RelativeFit, relative_fit, relative_score
from analysis.statistics.class_statistics import CLASS_STATISTICS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


def fit(inputs: FitInputs) -> RelativeFit:
    """Fit class means, a tied covariance, and one Gaussian of all samples."""
    return relative_fit(inputs, CLASS_STATISTICS)


def score(fit: RelativeFit, activations: Activations) -> NDArray[np.float64]:
    """Return (h - mu)' S0^+ (h - mu) - min_c (h - mu_c)' S^+ (h - mu_c), shape [n]."""
    return relative_score(fit, activations.feature64, activations.memo)


DETECTOR = Detector(
    name="relative-mahalanobis",
    title="Relative Mahalanobis",
    formula="(h - mu)' S0^+ (h - mu) - min_c (h - mu_c)' S^+ (h - mu_c)",
    source="Ren et al. 2021, arXiv 2106.09022",
    score=score,
    fit=fit,
    fit_type=RelativeFit,
    fitted_on="fit features and labels",
    needs=(CLASS_STATISTICS,),
    version=2,
)
