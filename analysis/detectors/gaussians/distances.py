"""What the Mahalanobis family shares: fits of one set of statistics, and distances on one block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.algebra.gaussian import GaussianFit, fit_background, fit_gaussian, squared_distance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.detectors.detector import FitInputs
    from analysis.rows.memo import Memo
    from analysis.statistics.statistic import Statistic


@dataclass(frozen=True, slots=True, eq=False)
class RelativeFit:
    """Class Gaussians with a tied covariance, and one Gaussian of all samples."""

    classes: GaussianFit
    background: GaussianFit


def class_fit(inputs: FitInputs, statistics: Statistic) -> GaussianFit:
    """Fit the tied Gaussians of the named statistics, once for all detectors that share `inputs`."""
    return inputs.memo.get(("class_fit", statistics.name), lambda: _class_fit(inputs, statistics))


def relative_fit(inputs: FitInputs, statistics: Statistic) -> RelativeFit:
    """Fit the tied and the background Gaussian of the named statistics."""
    return RelativeFit(class_fit(inputs, statistics), fit_background(inputs.class_statistics(statistics), inputs.dtype))


def _class_fit(inputs: FitInputs, statistics: Statistic) -> GaussianFit:
    gathered = inputs.class_statistics(statistics)
    fit = fit_gaussian(gathered, inputs.dtype)
    if fit.rank < gathered.dim:
        inputs.warnings.append(
            f"the within-class covariance of {statistics.name} has rank {fit.rank} of {gathered.dim} (condition number "
            f"{fit.condition:.1e}): distances leave out the directions in which no class varies by more than rounding"
        )
    return fit


def class_score(fit: GaussianFit, features: NDArray[np.float64], memo: Memo) -> NDArray[np.float64]:
    """Return -min_c (h - mu_c)' S^+ (h - mu_c), shape [n], computed once per block for detectors with the same fit."""
    return memo.get(("class_score", fit), lambda: -squared_distance(fit, features))


def relative_score(fit: RelativeFit, features: NDArray[np.float64], memo: Memo) -> NDArray[np.float64]:
    """Return the class score plus (h - mu)' S0^+ (h - mu), shape [n]."""
    return class_score(fit.classes, features, memo) + squared_distance(fit.background, features)
