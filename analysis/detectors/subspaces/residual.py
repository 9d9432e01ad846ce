"""Length of what the principal axes leave of the feature."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from analysis.algebra.residual_space import ResidualSpace, axes, bounded_dimensions, residual_norms, residual_space
from analysis.detectors.detector import NINCO, OPENOOD, Detector, FitInputs
from analysis.statistics.class_statistics import HEAD_CLASS_STATISTICS, VALIDATION_CLASS_STATISTICS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.statistics.statistic import Statistic

_DIM = 512


def score(fit: ResidualSpace, activations: Activations) -> NDArray[np.float64]:
    """Return -||R'(h - u)||_2, shape [n]."""
    return -residual_norms(fit, activations.head_input64)


def _fit(inputs: FitInputs, statistics: Statistic, name: str) -> ResidualSpace:
    found = axes(inputs.need(statistics), inputs.need_head())
    full = len(found.origin)
    dim = bounded_dimensions(_DIM, full)
    if dim != _DIM:
        inputs.warnings.append(f"{name} takes {dim} principal dimensions, because the features have only {full}")
    return residual_space(found, dim)


def _residual(name: str, statistics: Statistic, fitted_on: str, convention: str) -> Detector[ResidualSpace]:
    return Detector(
        name=name,
        title="Residual",
        formula="-||R'(h - u)||_2, u = -W^+ b",
        source="Wang et al. 2022, arXiv 2203.10807",
        score=score,
        fit=partial(_fit, statistics=statistics, name=name),
        fit_type=ResidualSpace,
        fitted_on=fitted_on,
        needs=(statistics,),
        needs_head=True,
        hyperparameters=MappingProxyType({"dim": _DIM}),
        convention=convention,
    )


DETECTOR = _residual("residual", HEAD_CLASS_STATISTICS, "fit features and labels", NINCO)
OPENOOD_VARIANT = _residual("residual.openood", VALIDATION_CLASS_STATISTICS, "validation features and labels", OPENOOD)
