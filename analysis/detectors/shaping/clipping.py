"""Energy after clipping features from above (ReAct), from both sides, or, by the authors' rule, dropping the low ones (VRA)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import OPENOOD, Detector, FitInputs
from analysis.detectors.shaping.shaped_energy import energy_of
from analysis.statistics.statistic import FIT, VALIDATION
from analysis.statistics.value_histogram import head_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations

SHARE, VALIDATION_SHARE = 0.99, 0.9
LOW, HIGH = 0.1, 0.9


@dataclass(frozen=True, slots=True, eq=False)
class RangeFit:
    """The values between which feature entries count as they are."""

    lowest: float
    highest: float


def fit(inputs: FitInputs, low: float | None, high: float, source: str = FIT) -> RangeFit:
    """Take two quantiles of all entries of what the head is fed; without `low`, no entry is too low."""
    ends = [
        -np.inf if share is None else float(inputs.need(head_quantile(share, source))["value"]) for share in (low, high)
    ]
    return RangeFit(*ends)


def clipped(fit: RangeFit, activations: Activations) -> NDArray[np.float64]:
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
    fit=partial(fit, low=None, high=SHARE),
    fitted_on="fit features",
    needs=(head_quantile(SHARE),),
    needs_head=True,
    hyperparameters={"quantile": SHARE},
    version=2,
)

OPENOOD_REACT = replace(
    REACT,
    name="react.openood",
    fit=partial(fit, low=None, high=VALIDATION_SHARE, source=VALIDATION),
    fitted_on="validation features",
    needs=(head_quantile(VALIDATION_SHARE, VALIDATION),),
    hyperparameters={"quantile": VALIDATION_SHARE},
    convention=OPENOOD,
)

VRA = replace(
    REACT,
    name="vra",
    title="VRA",
    formula="log sum exp(W clip(h, lo, hi) + b), lo and hi = 10 % and 90 % quantiles of all entries of h",
    source="Xu et al. 2023, arXiv 2302.11886",
    fit=partial(fit, low=LOW, high=HIGH),
    needs=(head_quantile(LOW), head_quantile(HIGH)),
    hyperparameters={"low_quantile": LOW, "high_quantile": HIGH},
)

OPENOOD_VRA = replace(
    VRA,
    name="vra.openood",
    fit=partial(fit, low=LOW, high=HIGH, source=VALIDATION),
    fitted_on="validation features",
    needs=(head_quantile(LOW, VALIDATION), head_quantile(HIGH, VALIDATION)),
    convention=OPENOOD,
)

AUTHORS_VRA = replace(
    VRA,
    name="vra.authors",
    title="VRA (authors' rule)",
    formula="log sum exp(W v(h) + b), v(h) = 0 below lo, min(h, hi) above; lo and hi as in vra",
    score=dropped_below,
)
