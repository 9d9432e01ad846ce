"""MSP, lowered where a length of the feature is unlike those of the fit samples (SIRC): its 1-norm, or what ViM calls its residual."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.algebra.residual_space import (
    ResidualSpace,
    axes,
    bounded_dimensions,
    ninco_dimensions,
    require_residual,
    residual_norms,
    residual_space,
)
from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.directions.norm_spread import L1_SPREAD, residual_spread
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.rows.checks import same_dimensions
from analysis.statistics.class_statistics import HEAD_CLASS_STATISTICS
from featurestore.errors import NumericalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.statistics.statistic import Arrays


@dataclass(frozen=True, slots=True, eq=False)
class SpreadFit:
    """How the second score s of the fit samples is distributed.

    Attributes:
        mean: Its mean m.
        deviation: Its standard deviation d.
        dim: D, the dimensions of the features.
        residual: The residual space whose lengths it is of, negated; None where it is the 1-norm.
    """

    mean: float
    deviation: float
    dim: int
    residual: ResidualSpace | None = None


def _dimensions(dim: int) -> int:
    return bounded_dimensions(ninco_dimensions(dim), dim)


RESIDUALS = residual_spread("residual-spread-ninco", _dimensions)


def fit_norms(inputs: FitInputs) -> SpreadFit:
    """Take mean and standard deviation of the 1-norm of what the head is fed.

    Raises:
        NumericalError: All fit samples have the same.
    """
    found = inputs.need(L1_SPREAD)
    return SpreadFit(float(found["mean"]), _deviation(found, "1-norm"), int(found["dim"]))


def fit_residuals(inputs: FitInputs) -> SpreadFit:
    """Take mean and standard deviation of the negated residual.

    Raises:
        NumericalError: The fit samples have none, or all the same.
    """
    found = inputs.need(RESIDUALS)
    about = axes(inputs.need(HEAD_CLASS_STATISTICS), inputs.need_head())
    dim = _dimensions(len(about.origin))
    require_residual(float(found["mean"]), about, dim)
    deviation = _deviation(found, "residual")
    return SpreadFit(-float(found["mean"]), deviation, len(about.origin), residual_space(about, dim))


def _deviation(found: Arrays, what: str) -> float:
    mean, deviation = abs(float(found["mean"])), float(found["deviation"])
    if deviation <= np.finfo(np.float64).eps * mean:
        raise NumericalError(
            f"The {what} of all fit features is the same, {mean:g}: it tells nothing of a sample; leave this detector out."
        )
    return deviation


def score(fit: SpreadFit, activations: Activations, *, deviations: float) -> NDArray[np.float64]:
    """Return -log(1 - p) - log(1 + exp(-(s - m) / d - t)), p = max_c softmax(z)_c, shape [n]."""
    same_dimensions(activations.feature, fit.dim)
    lengths = -residual_norms(fit.residual, activations.head_input64) if fit.residual else activations.l1_norms
    above = (lengths - fit.mean) / fit.deviation + deviations
    return np.asarray(-log_rest(activations) - np.logaddexp(0.0, -above))


def log_rest(activations: Activations) -> NDArray[np.float64]:
    """log(1 - max_c softmax(z)_c), which keeps all digits of small probabilities, shape [n]; of one class, that of the smallest float64.

    It is log sum_{c != y} exp(z_c) - log sum_c exp(z_c), y the predicted class.
    """
    others = activations.shifted_logits.copy()
    others[np.arange(len(others)), activations.predicted] = -np.inf
    if others.shape[1] == 1:
        return np.full(len(others), math.log(np.finfo(np.float64).tiny))
    largest = others.max(axis=1)
    others -= largest[:, None]
    sums = np.exp(others, out=others).sum(axis=1)
    return np.asarray(largest + np.log(sums) - np.log(activations.softmax_normaliser))


SIRC = Detector(
    name="sirc",
    title="SIRC",
    formula="-log(1 - p) - log(1 + exp(-(s - m) / d - t)), p = max_c softmax(z)_c, s = ||h||_1, m and d = its mean and deviation",
    source="Xia & Bouganis 2022, arXiv 2207.07506, with MSP as the first score",
    score=score,
    fit=fit_norms,
    fitted_on="fit features",
    needs=(L1_SPREAD,),
    needs_logits=True,
    needs_head=True,
    hyperparameters=(
        Hyperparameter(
            "deviations", 3.0, 0.0, 100.0, "t: so many deviations below its mean, s halves the score's sigmoid"
        ),
    ),
)

RESIDUAL_SIRC = replace(
    SIRC,
    name="sirc-residual",
    title="SIRC (residual)",
    formula="the same with s = -||R'(h - u)||_2, R and u as in vim",
    fit=fit_residuals,
    fitted_on="fit features and labels",
    needs=(HEAD_CLASS_STATISTICS, RESIDUALS),
    on_request=True,
)
