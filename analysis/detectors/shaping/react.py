"""Energy after clipping features from above."""

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

SHARE, VALIDATION_SHARE = 0.99, 0.9


@dataclass(frozen=True, slots=True, eq=False)
class ClipFit:
    """The value c above which no feature entry counts."""

    highest: float


def fit(inputs: FitInputs) -> ClipFit:
    """Take the 99 % quantile of all entries of the fit features."""
    return ClipFit(quantile(inputs.need(HEAD_VALUES), SHARE))


def fit_on_validation(inputs: FitInputs) -> ClipFit:
    """Take the 90 % quantile of all entries of the validation features."""
    return ClipFit(quantile(inputs.need(VALIDATION_HEAD_VALUES), VALIDATION_SHARE))


def score(fit: ClipFit, activations: Activations) -> NDArray[np.float64]:
    """Return log sum_c exp(w_c min(h, c) + b_c), shape [n]."""
    head = head_of(activations)
    return energy_of(np.minimum(activations.head_input64, fit.highest), head.weight, head.bias)


DETECTOR = Detector(
    name="react",
    title="ReAct",
    formula="log sum exp(W min(h, q) + b), q = quantile of all entries of h",
    source="Sun et al. 2021, arXiv 2111.12797",
    score=score,
    fit=fit,
    fit_type=ClipFit,
    fitted_on="fit features",
    needs=(HEAD_VALUES,),
    needs_head=True,
    assumes_nonnegative=True,
    hyperparameters=MappingProxyType({"quantile": SHARE}),
)

VALIDATED = replace(
    DETECTOR,
    name="react.openood",
    fit=fit_on_validation,
    fitted_on="validation features",
    needs=(VALIDATION_HEAD_VALUES,),
    hyperparameters=MappingProxyType({"quantile": VALIDATION_SHARE}),
    convention=OPENOOD,
)
