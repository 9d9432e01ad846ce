"""Energy after clipping features from above (ReAct), from both sides, or, by the authors' rule, dropping the low ones (VRA)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import OPENOOD, Detector, FitInputs
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.detectors.shaping.shaped_energy import energy_of
from analysis.statistics.statistic import FIT, VALIDATION
from analysis.statistics.value_histogram import head_quantile
from featurestore.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.statistics.statistic import Statistic


@dataclass(frozen=True, slots=True, eq=False)
class RangeFit:
    """The values between which feature entries count as they are."""

    lowest: float
    highest: float


def _one(*, quantile: float, source: str = FIT) -> tuple[Statistic, ...]:
    return (head_quantile(quantile, source),)


def fit_highest(inputs: FitInputs, *, quantile: float, source: str = FIT) -> RangeFit:
    """Take a quantile of all entries of what the head is fed; no entry is too low."""
    return RangeFit(-np.inf, float(inputs.need(head_quantile(quantile, source))["value"]))


def _two(*, low: float, high: float, source: str = FIT) -> tuple[Statistic, ...]:
    """Two quantiles.

    Raises:
        InputError: They are the wrong way round.
    """
    if low > high:
        raise InputError(f"low = {low:g} is above high = {high:g}: give them the other way round.")
    return head_quantile(low, source), head_quantile(high, source)


def fit_range(inputs: FitInputs, *, low: float, high: float, source: str = FIT) -> RangeFit:
    """Take two quantiles."""
    lowest, highest = (float(inputs.need(end)["value"]) for end in _two(low=low, high=high, source=source))
    return RangeFit(lowest, highest)


def _quantile(default: float) -> tuple[Hyperparameter]:
    return (Hyperparameter("quantile", default, 0.0, 1.0, "q as the quantile of all entries; larger ones are clipped"),)


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
    fit=fit_highest,
    fitted_on="fit features",
    needs=_one,
    needs_head=True,
    hyperparameters=_quantile(0.99),
    version=2,
)

OPENOOD_REACT = replace(
    REACT,
    name="react.openood",
    fit=partial(fit_highest, source=VALIDATION),
    fitted_on="validation features",
    needs=partial(_one, source=VALIDATION),
    hyperparameters=_quantile(0.9),
    convention=OPENOOD,
)

VRA = replace(
    REACT,
    name="vra",
    title="VRA",
    formula="log sum exp(W clip(h, lo, hi) + b), lo and hi = quantiles of all entries of h",
    source="Xu et al. 2023, arXiv 2302.11886",
    fit=fit_range,
    needs=_two,
    hyperparameters=(
        Hyperparameter("low", 0.1, 0.0, 1.0, "lo as a quantile of all entries", stored="low_quantile"),
        Hyperparameter("high", 0.9, 0.0, 1.0, "hi as a quantile of all entries", stored="high_quantile"),
    ),
)

OPENOOD_VRA = replace(
    VRA,
    name="vra.openood",
    fit=partial(fit_range, source=VALIDATION),
    fitted_on="validation features",
    needs=partial(_two, source=VALIDATION),
    convention=OPENOOD,
)

AUTHORS_VRA = replace(
    VRA,
    name="vra.authors",
    title="VRA (authors' rule)",
    formula="log sum exp(W v(h) + b), v(h) = 0 below lo, min(h, hi) above; lo and hi as in vra",
    score=dropped_below,
)
