"""Length of what the principal axes leave of the feature (Residual), and energy less so much of it (ViM)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from analysis.algebra.residual_space import (
    Axes,
    ResidualSpace,
    axes,
    bounded_dimensions,
    ninco_dimensions,
    require_residual,
    residual_norms,
    residual_space,
)
from analysis.detectors.detector import NINCO, OPENOOD, Detector, FitInputs
from analysis.statistics.class_statistics import HEAD_CLASS_STATISTICS, VALIDATION_CLASS_STATISTICS
from analysis.statistics.residual_scale import residual_scale

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.statistics.statistic import Statistic

_DIM = 512


@dataclass(frozen=True, slots=True, eq=False)
class VimFit:
    """A residual space, and what a residual is worth in logits.

    Attributes:
        residual: The residual space.
        alpha: Mean max z / mean ||R'(h - u)|| over the fit set.
    """

    residual: ResidualSpace
    alpha: float


def score(fit: ResidualSpace, activations: Activations) -> NDArray[np.float64]:
    """Return -||R'(h - u)||_2, shape [n]."""
    return -residual_norms(fit, activations.head_input64)


def _axes(inputs: FitInputs, statistics: Statistic, wanted: Callable[[int], int], name: str) -> tuple[Axes, int]:
    """The axes of what statistics are of, and how many of them are principal: half where the features have too few."""
    found = axes(inputs.need(statistics), inputs.need_head())
    full = len(found.origin)
    dim = bounded_dimensions(wanted(full), full)
    if dim != wanted(full):
        inputs.warnings.append(f"{name} takes {dim} principal dimensions, because the features have only {full}")
    return found, dim


def _fit(inputs: FitInputs, statistics: Statistic, name: str) -> ResidualSpace:
    return residual_space(*_axes(inputs, statistics, lambda _: _DIM, name))


def _residual(name: str, statistics: Statistic, fitted_on: str, convention: str) -> Detector[ResidualSpace]:
    return Detector(
        name=name,
        title="Residual",
        formula="-||R'(h - u)||_2, u = -W^+ b",
        source="Wang et al. 2022, arXiv 2203.10807",
        score=score,
        fit=partial(_fit, statistics=statistics, name=name),
        fitted_on=fitted_on,
        needs=(statistics,),
        needs_head=True,
        hyperparameters={"dim": _DIM},
        convention=convention,
    )


def score_matched(fit: VimFit, activations: Activations) -> NDArray[np.float64]:
    """Return log sum_c exp(z_c) - alpha ||R'(h - u)||_2, shape [n]."""
    return activations.log_sum_exp - fit.alpha * residual_norms(fit.residual, activations.head_input64)


def _fit_matched(inputs: FitInputs, wanted: Callable[[int], int], scale: Statistic, name: str) -> VimFit:
    found, dim = _axes(inputs, HEAD_CLASS_STATISTICS, wanted, name)
    means = inputs.need(scale)
    require_residual(float(means["residual"]), found, dim)
    return VimFit(residual_space(found, dim), float(means["max_logit"] / means["residual"]))


def _vim(name: str, wanted: Callable[[int], int], dimensions: int | str, convention: str) -> Detector[VimFit]:
    scale = residual_scale(f"residual-scale-{convention}", lambda dim: bounded_dimensions(wanted(dim), dim))
    return Detector(
        name=name,
        title="ViM",
        formula="log sum_c exp(z_c) - a ||R'(h - u)||_2, u = -W^+ b, a = mean max z / mean ||R'(h - u)||_2",
        source="Wang et al. 2022, arXiv 2203.10807",
        score=score_matched,
        fit=partial(_fit_matched, wanted=wanted, scale=scale, name=name),
        fitted_on="fit features and logits",
        needs=(HEAD_CLASS_STATISTICS, scale),
        needs_logits=True,
        needs_head=True,
        hyperparameters={"dim": dimensions},
        convention=convention,
    )


RESIDUAL = _residual("residual", HEAD_CLASS_STATISTICS, "fit features and labels", NINCO)
OPENOOD_RESIDUAL = _residual("residual.openood", VALIDATION_CLASS_STATISTICS, "validation features and labels", OPENOOD)
VIM = _vim("vim", ninco_dimensions, "1000 of 2048 and more, 512 of 768 and more, else half", NINCO)
OPENOOD_VIM = _vim("vim.openood", lambda _: 256, 256, OPENOOD)
