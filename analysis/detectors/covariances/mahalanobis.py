"""Mahalanobis distance to the nearest class, as it is and relative to the background, of features and of unit features."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from analysis.algebra.gaussian import GaussianFit, fit_background, fit_gaussian, squared_distance
from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.statistics.class_statistics import CLASS_STATISTICS, UNIT_CLASS_STATISTICS, scaled_class_statistics

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.statistics.statistic import Statistic


@dataclass(frozen=True, slots=True, eq=False)
class RelativeFit:
    """Class Gaussians with a tied covariance, and one Gaussian of all samples."""

    classes: GaussianFit
    background: GaussianFit


def fit(inputs: FitInputs, statistics: Statistic) -> GaussianFit:
    """Fit class means and a tied covariance of the named statistics, once for all detectors that share `inputs`."""
    return inputs.memo.get(("class_fit", statistics.name), lambda: _fit(inputs, statistics))


def fit_relative(inputs: FitInputs, statistics: Statistic) -> RelativeFit:
    """Fit class means, a tied covariance, and one Gaussian of all samples in the same directions."""
    classes = fit(inputs, statistics)
    return RelativeFit(classes, fit_background(inputs.class_statistics(statistics), classes))


def _fit(inputs: FitInputs, statistics: Statistic) -> GaussianFit:
    gathered = inputs.class_statistics(statistics)
    found = fit_gaussian(gathered, inputs.dtype)
    if found.rank < gathered.dim:
        inputs.warnings.append(
            f"the within-class covariance of {statistics.name} has rank {found.rank} of {gathered.dim} (condition number "
            f"{found.condition:.1e}): distances leave out the directions in which no class varies by more than rounding"
        )
    return found


def score(fit: GaussianFit, activations: Activations, *, beta: float = 0.0) -> NDArray[np.float64]:
    """Return -min_c (h - mu_c)' S^+ (h - mu_c), shape [n], computed once per block for detectors with the same fit.

    h / ||h||_2^beta takes the place of h.
    """
    return activations.memo.get(("class_score", fit), lambda: -squared_distance(fit, activations.scaled(beta)))


def score_relative(fit: RelativeFit, activations: Activations, *, beta: float = 0.0) -> NDArray[np.float64]:
    """Return the class score plus (h - mu)' S0^+ (h - mu), shape [n]."""
    background = squared_distance(fit.background, activations.scaled(beta))
    return score(fit.classes, activations, beta=beta) + background


MAHALANOBIS: Detector[Any] = Detector(
    name="mahalanobis",
    title="Mahalanobis",
    formula="-min_c (h - mu_c)' S^+ (h - mu_c)",
    source="Lee et al. 2018, arXiv 1807.03888",
    score=score,
    fit=partial(fit, statistics=CLASS_STATISTICS),
    fitted_on="fit features and labels",
    needs=(CLASS_STATISTICS,),
    version=2,
)

RELATIVE: Detector[Any] = replace(
    MAHALANOBIS,
    name="relative-mahalanobis",
    title="Relative Mahalanobis",
    formula="(h - mu)' S0^+ (h - mu) - min_c (h - mu_c)' S^+ (h - mu_c), S0^+ in the directions that S^+ keeps",
    source="Ren et al. 2021, arXiv 2106.09022",
    score=score_relative,
    fit=partial(fit_relative, statistics=CLASS_STATISTICS),
    version=3,
)


def _of_unit_features(detector: Detector[Any]) -> Detector[Any]:
    fits: Any = detector.fit
    scores: Any = detector.score
    return replace(
        detector,
        name=f"{detector.name}-pp",
        title=f"{detector.title}++",
        formula=f"{detector.formula.replace('(h', '(u')}, u = h / ||h||_2, also at fit",
        source="Mueller & Hein 2025, arXiv 2505.18032",
        score=partial(scores, beta=1.0),
        fit=partial(fits, statistics=UNIT_CLASS_STATISTICS),
        needs=(UNIT_CLASS_STATISTICS,),
    )


MAHALANOBIS_PP, RELATIVE_PP = map(_of_unit_features, (MAHALANOBIS, RELATIVE))


def needs_scaled(*, beta: float) -> tuple[Statistic, ...]:
    """Class statistics of h / ||h||_2^beta."""
    return (scaled_class_statistics(beta),)


def fit_scaled(inputs: FitInputs, *, beta: float) -> GaussianFit:
    """Fit class means and a tied covariance of h / ||h||_2^beta."""
    return fit(inputs, scaled_class_statistics(beta))


RADIAL: Detector[Any] = replace(
    MAHALANOBIS,
    name="radial-mahalanobis",
    title="Radially scaled Mahalanobis",
    formula="-min_c (u - mu_c)' S^+ (u - mu_c), u = h / ||h||_2^beta, also at fit; 0: mahalanobis, 1: mahalanobis-pp",
    source="Janiak, Binkowski & Kajdanowicz 2025, arXiv 2510.15202; at a beta that is given, not chosen from fit data",
    score=score,
    fit=fit_scaled,
    needs=needs_scaled,
    hyperparameters=(Hyperparameter("beta", 0.5, 0.0, 2.0, "the power of the norm that features are divided by"),),
    on_request=True,
    version=1,
)
