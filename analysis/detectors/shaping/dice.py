"""Energy with only those weights that contribute most on the fit samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.detectors.shaping.shaped_energy import energy_of
from analysis.statistics.class_statistics import HEAD_CLASS_MEANS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


@dataclass(frozen=True, slots=True, eq=False)
class ContributionFit:
    """Which weights are kept.

    Attributes:
        mean: Mean fit feature, float64, shape [D].
        threshold: A weight is kept if, times the mean of its feature, it is larger.
    """

    mean: NDArray[np.float64]
    threshold: float


def fit(inputs: FitInputs, *, percentile: int) -> ContributionFit:
    """Take a percentile of the weights times the mean feature."""
    mean = inputs.class_means(HEAD_CLASS_MEANS).mean
    return ContributionFit(mean, float(np.percentile(inputs.need_head().weight * mean, percentile)))


def score(fit: ContributionFit, activations: Activations) -> NDArray[np.float64]:
    """Return log sum_c exp(sum_d w_cd [w_cd mean_d > threshold] h_d + b_c), shape [n]."""
    head = activations.need_head()
    weight = head.memo.get(("dice", fit), lambda: np.where(head.weight * fit.mean > fit.threshold, head.weight, 0.0))
    return energy_of(activations.head_input64, weight, head.bias)


DICE = Detector(
    name="dice",
    title="DICE",
    formula="log sum exp((W * M) h + b), M = [W * mean h > its percentile]",
    source="Sun & Li 2022, arXiv 2111.09805",
    score=score,
    fit=fit,
    fitted_on="fit features",
    needs=(HEAD_CLASS_MEANS,),
    needs_head=True,
    hyperparameters=(Hyperparameter("percentile", 90, 0, 99, "percentage of the weights that are set to 0"),),
)
