"""Energy after clipping features from above (ReAct), from both sides, or, by the authors' rule, dropping the low ones (VRA)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import OPENOOD, Detector, FitInputs
from analysis.detectors.shaping.shaped_energy import energy_of
from analysis.statistics.value_histogram import HEAD_VALUES, VALIDATION_HEAD_VALUES, quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.statistics.statistic import Statistic

SHARE, VALIDATION_SHARE = 0.99, 0.9
LOW, HIGH = 0.1, 0.9


@dataclass(frozen=True, slots=True, eq=False)
class ClipFit:
    """The value c above which no feature entry counts."""

    highest: float


@dataclass(frozen=True, slots=True, eq=False)
class RangeFit:
    """The values between which feature entries count as they are."""

    lowest: float
    highest: float


def fit_clip(inputs: FitInputs, statistic: Statistic, share: float) -> ClipFit:
    """Take a quantile of all entries of the features that the statistic is of."""
    return ClipFit(quantile(inputs.need(statistic), share))


def fit_range(inputs: FitInputs, statistic: Statistic) -> RangeFit:
    """Take their 10 % and 90 % quantiles."""
    histogram = inputs.need(statistic)
    return RangeFit(quantile(histogram, LOW), quantile(histogram, HIGH))


def clipped(fit: ClipFit, activations: Activations) -> NDArray[np.float64]:
    """Return log sum_c exp(w_c min(h, c) + b_c), shape [n]."""
    head = activations.need_head()
    return energy_of(np.minimum(activations.head_input64, fit.highest), head.weight, head.bias)


def kept_in_range(fit: RangeFit, activations: Activations) -> NDArray[np.float64]:
    """Return log sum_c exp(w_c clip(h, lo, hi) + b_c), shape [n]."""
    head = activations.need_head()
    return energy_of(np.clip(activations.head_input64, fit.lowest, fit.highest), head.weight, head.bias)


def dropped_below(fit: RangeFit, activations: Activations) -> NDArray[np.float64]:
    """Return the same with 0 in place of entries below lo, shape [n]."""
    head, features = activations.need_head(), activations.head_input64
    shaped = np.minimum(features, fit.highest)
    shaped[features < fit.lowest] = 0.0
    return energy_of(shaped, head.weight, head.bias)


REACT = Detector(
    name="react",
    title="ReAct",
    formula="log sum exp(W min(h, q) + b), q = quantile of all entries of h",
    source="Sun et al. 2021, arXiv 2111.12797",
    score=clipped,
    fit=partial(fit_clip, statistic=HEAD_VALUES, share=SHARE),
    fitted_on="fit features",
    needs=(HEAD_VALUES,),
    needs_head=True,
    hyperparameters=MappingProxyType({"quantile": SHARE}),
)

OPENOOD_REACT = replace(
    REACT,
    name="react.openood",
    fit=partial(fit_clip, statistic=VALIDATION_HEAD_VALUES, share=VALIDATION_SHARE),
    fitted_on="validation features",
    needs=(VALIDATION_HEAD_VALUES,),
    hyperparameters=MappingProxyType({"quantile": VALIDATION_SHARE}),
    convention=OPENOOD,
)

VRA = Detector(
    name="vra",
    title="VRA",
    formula="log sum exp(W clip(h, lo, hi) + b), lo and hi = 10 % and 90 % quantiles of all entries of h",
    source="Xu et al. 2023, arXiv 2302.11886",
    score=kept_in_range,
    fit=partial(fit_range, statistic=HEAD_VALUES),
    fitted_on="fit features",
    needs=(HEAD_VALUES,),
    needs_head=True,
    hyperparameters=MappingProxyType({"low_quantile": LOW, "high_quantile": HIGH}),
)

OPENOOD_VRA = replace(
    VRA,
    name="vra.openood",
    fit=partial(fit_range, statistic=VALIDATION_HEAD_VALUES),
    fitted_on="validation features",
    needs=(VALIDATION_HEAD_VALUES,),
    convention=OPENOOD,
)

AUTHORS_VRA = replace(
    VRA,
    name="vra.authors",
    title="VRA (authors' rule)",
    formula="log sum exp(W v(h) + b), v(h) = 0 below lo, min(h, hi) above; lo and hi as in vra",
    score=dropped_below,
)
