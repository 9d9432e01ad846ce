"""The largest logit of features whose entries are weighted by what entries of their size give to it (OptFS)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.detectors.shaping.value_impact import Intervals, intervals_of, value_impact
from featurestore.errors import NumericalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.statistics.statistic import Statistic


@dataclass(frozen=True, slots=True, eq=False)
class ShapingFit:
    """The factor for an entry of the feature, by the interval that it lies in.

    Attributes:
        intervals: Intervals of its size.
        factors: theta_0 = 0 of entries in none of them, and theta_k of the k-th, float64, shape [K + 1].
    """

    intervals: Intervals
    factors: NDArray[np.float64]


def needs(*, intervals: int, tail: float) -> tuple[Statistic, ...]:
    """What entries give to the largest logit."""
    return (value_impact(intervals, tail),)


def fit(inputs: FitInputs, *, intervals: int, tail: float) -> ShapingFit:
    """Take theta = sqrt(K) I / ||I||_2, I_k = what the entries in the k-th interval give to the largest logit.

    Raises:
        NumericalError: No entry gives anything: nearly all of them are equal.
    """
    found = inputs.need(value_impact(intervals, tail))
    impact = found["impact"]
    largest = np.abs(impact).max()
    if not largest:
        raise NumericalError(
            f"No entry of the fit features between their quantiles {tail:g} and {1 - tail:g} gives anything to a logit; "
            "check the features and the head, or leave optfs out."
        )
    # Dividing by the largest first keeps the squares of very large and very small sums representable.
    factors = impact / largest
    factors *= np.sqrt(len(factors)) / np.linalg.norm(factors)
    return ShapingFit(intervals_of(found), np.concatenate([[0.0], factors]))


def score(fit: ShapingFit, activations: Activations) -> NDArray[np.float64]:
    """Return sum_d w_yd theta(h_d) h_d, y = argmax z, shape [n]."""
    weight, features = activations.need_head().weight, activations.head_input64
    shaped = fit.factors[fit.intervals.numbers(features)]
    shaped *= features
    return np.asarray(np.einsum("nd,nd->n", shaped, weight[activations.predicted]))


OPTFS = Detector(
    name="optfs",
    title="OptFS",
    formula=(
        "sum_d w_yd theta(h_d) h_d, y = argmax z; theta = sqrt(K) I / ||I||_2 in the k-th of K equal intervals between two "
        "quantiles of all entries of h, else 0; I_k = mean over the fit samples of the sum of w_yd h_d over its entries"
    ),
    source="Zhao et al. 2024, arXiv 2402.00865, with the largest logit as the score",
    score=score,
    fit=fit,
    fitted_on="fit features and logits",
    needs=needs,
    needs_logits=True,
    needs_head=True,
    on_request=True,
    hyperparameters=(
        Hyperparameter("intervals", 100, 1, 10_000, "K: the number of intervals"),
        Hyperparameter("tail", 1e-3, 0.0, 0.49, "the intervals reach from this quantile to 1 - it"),
    ),
)
