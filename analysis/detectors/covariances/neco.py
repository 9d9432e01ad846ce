"""Neural collapse: how much of the standardised feature lies in its principal axes, times the largest logit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy

from analysis.algebra.class_scatter import require_samples
from analysis.algebra.residual_space import Subspace, norms_inside, subspace
from analysis.detectors.covariances.kernel_pca import share_of_variance
from analysis.detectors.detector import Detector, FitInputs
from analysis.rows.checks import same_dimensions
from analysis.statistics.class_statistics import CLASS_STATISTICS
from featurestore.errors import NumericalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations

# A standard deviation of so many ulps of the mean is rounding: the feature is constant.
_ROUNDING = 1024 * np.finfo(np.float64).eps


@dataclass(frozen=True, slots=True, eq=False)
class NecoFit:
    """Standardisation, and the principal axes of what is standardised.

    Attributes:
        mean: Mean feature, float64, shape [D].
        scale: Standard deviation of each feature with divisor N, 1 where it is constant, float64, shape [D].
        principal: The span of the fewest axes that hold the wanted share of the variance.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    principal: Subspace


def fit(inputs: FitInputs, *, variance: float) -> NecoFit:
    """Standardise, and take the leading eigenvectors of the correlation matrix.

    Raises:
        InputError: The statistics hold no samples.
        NumericalError: No feature varies.
    """
    statistics = inputs.class_statistics(CLASS_STATISTICS)
    mean, covariance = statistics.mean, statistics.total / require_samples(statistics)
    deviation = np.sqrt(np.diag(covariance))
    varies = deviation > _ROUNDING * np.abs(mean)
    if not varies.any():
        raise NumericalError("No feature varies over the fit set, so that it has no principal axes.")
    scale = np.where(varies, deviation, 1.0)
    correlation = np.where(np.outer(varies, varies), covariance / scale / scale[:, None], 0.0)
    values, vectors = scipy.linalg.eigh(correlation, driver="evd")
    share = np.cumsum(values[::-1]) / values.sum()
    kept = min(int(np.searchsorted(share, variance)) + 1, len(values))
    return NecoFit(mean, scale, subspace(vectors, len(values) - kept, len(values)))


def score(fit: NecoFit, activations: Activations) -> NDArray[np.float64]:
    """Return ||P's||_2 / ||s||_2 max_c z_c with s = (h - mean) / scale, shape [n]."""
    features = activations.feature64
    same_dimensions(features, len(fit.mean))
    rows = features - fit.mean
    rows /= fit.scale
    squared = np.einsum("nd,nd->n", rows, rows)
    return np.asarray(norms_inside(fit.principal, rows, squared) / np.sqrt(squared) * activations.max_logit)


NECO = Detector(
    name="neco",
    title="NECO",
    formula="||P's||_2 / ||s||_2 max_c z_c, s = (h - mu) / sigma, P: principal axes of s with a share of its variance",
    source="Ben Ammar et al. 2024, arXiv 2310.06823",
    score=score,
    fit=fit,
    fitted_on="fit features and labels",
    needs=(CLASS_STATISTICS,),
    needs_logits=True,
    hyperparameters=share_of_variance(0.9),
)
