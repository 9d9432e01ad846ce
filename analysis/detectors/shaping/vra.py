"""Energy after clipping features from both sides, or, by the authors' rule, after dropping the low ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import OPENOOD, Detector, FitInputs
from analysis.detectors.shaping.shaped_energy import energy_of, head_of
from analysis.statistics.value_histogram import HEAD_VALUES, VALIDATION_HEAD_VALUES, quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.statistics.statistic import Statistic

LOW, HIGH = 0.1, 0.9


@dataclass(frozen=True, slots=True, eq=False)
class RangeFit:
    """The values between which feature entries count as they are."""

    lowest: float
    highest: float


def _fit(inputs: FitInputs, statistic: Statistic) -> RangeFit:
    histogram = inputs.need(statistic)
    return RangeFit(quantile(histogram, LOW), quantile(histogram, HIGH))


def fit(inputs: FitInputs) -> RangeFit:
    """Take the 10 % and 90 % quantiles of all entries of the fit features."""
    return _fit(inputs, HEAD_VALUES)


def fit_on_validation(inputs: FitInputs) -> RangeFit:
    """Take those of the validation features."""
    return _fit(inputs, VALIDATION_HEAD_VALUES)


def score(fit: RangeFit, activations: Activations) -> NDArray[np.float64]:
    """Return log sum_c exp(w_c clip(h, lo, hi) + b_c), shape [n]."""
    head = head_of(activations)
    return energy_of(np.clip(activations.head_input64, fit.lowest, fit.highest), head.weight, head.bias)


def score_dropped(fit: RangeFit, activations: Activations) -> NDArray[np.float64]:
    """Return the same with 0 in place of entries below lo, shape [n]."""
    head = head_of(activations)
    features = activations.head_input64
    shaped = np.minimum(features, fit.highest)
    shaped[features < fit.lowest] = 0.0
    return energy_of(shaped, head.weight, head.bias)


DETECTOR = Detector(
    name="vra",
    title="VRA",
    formula="log sum exp(W clip(h, lo, hi) + b), lo and hi = 10 % and 90 % quantiles of all entries of h",
    source="Xu et al. 2023, arXiv 2302.11886",
    score=score,
    fit=fit,
    fit_type=RangeFit,
    fitted_on="fit features",
    needs=(HEAD_VALUES,),
    needs_head=True,
    assumes_nonnegative=True,
    hyperparameters=MappingProxyType({"low_quantile": LOW, "high_quantile": HIGH}),
)

VALIDATED = replace(
    DETECTOR,
    name="vra.openood",
    fit=fit_on_validation,
    fitted_on="validation features",
    needs=(VALIDATION_HEAD_VALUES,),
    convention=OPENOOD,
)

AUTHORS = replace(
    DETECTOR,
    name="vra.authors",
    title="VRA (authors' rule)",
    formula="log sum exp(W v(h) + b), v(h) = 0 below lo, min(h, hi) above; lo and hi as in vra",
    score=score_dropped,
)
