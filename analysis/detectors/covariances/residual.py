"""Length of what the principal axes leave of the feature (Residual), and energy less so much of it (ViM)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache, partial
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
from analysis.detectors.detector import OPENOOD, Detector, FitInputs, on_validation_data
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.statistics.class_statistics import HEAD_CLASS_STATISTICS, VALIDATION_CLASS_STATISTICS
from analysis.statistics.residual_scale import residual_scale
from featurestore.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.statistics.statistic import Statistic

_DIM, _OPENOOD_VIM_DIM = 512, 256
_MEANING = "principal dimensions"
_RULE = "1000 of 2048 and more, 512 of 768 and more, else half"


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


def _wanted(dim: int | None, full: int, default: int | None) -> int:
    """Principal dimensions of features of `full`: half of them where the default would leave no residual.

    Raises:
        InputError: A number that was chosen leaves none.
    """
    if dim is not None and dim != default and dim >= full:
        raise InputError(f"dim = {dim} leaves no residual of features of {full} dimensions: take fewer than {full}.")
    return bounded_dimensions(ninco_dimensions(full) if dim is None else dim, full)


def _axes(
    inputs: FitInputs, statistics: Statistic, dim: int | None, default: int | None, name: str
) -> tuple[Axes, int]:
    """The axes of what statistics are of, and how many of them are principal."""
    found = axes(inputs.need(statistics), inputs.need_head())
    full = len(found.origin)
    count = _wanted(dim, full, default)
    if dim is not None and count != dim:
        inputs.warnings.append(f"{name} takes {count} principal dimensions, because the features have only {full}")
    return found, count


def fit(inputs: FitInputs, *, dim: int, statistic: Statistic, name: str) -> ResidualSpace:
    """Take the space that the principal axes leave."""
    return residual_space(*_axes(inputs, statistic, dim, _DIM, name))


def score_matched(fit: VimFit, activations: Activations) -> NDArray[np.float64]:
    """Return log sum_c exp(z_c) - alpha ||R'(h - u)||_2, shape [n]."""
    return activations.log_sum_exp - fit.alpha * residual_norms(fit.residual, activations.head_input64)


@cache
def _scale(dim: int | None, default: int | None) -> Statistic:
    """The statistic of so many dimensions; those of the defaults have names that lakes know."""
    name = "ninco" if dim is None else "openood" if dim == default else str(dim)
    return residual_scale(f"residual-scale-{name}", lambda full: _wanted(dim, full, default))


def _needs_matched(*, dim: int | None, default: int | None) -> tuple[Statistic, ...]:
    return HEAD_CLASS_STATISTICS, _scale(dim, default)


def _fit_matched(inputs: FitInputs, *, dim: int | None, default: int | None, name: str) -> VimFit:
    found, count = _axes(inputs, HEAD_CLASS_STATISTICS, dim, default, name)
    means = inputs.need(_scale(dim, default))
    require_residual(float(means["residual"]), found, count)
    return VimFit(residual_space(found, count), float(means["max_logit"] / means["residual"]))


RESIDUAL: Detector[ResidualSpace] = Detector(
    name="residual",
    title="Residual",
    formula="-||R'(h - u)||_2, u = -W^+ b",
    source="Wang et al. 2022, arXiv 2203.10807",
    score=score,
    fit=partial(fit, statistic=HEAD_CLASS_STATISTICS, name="residual"),
    fitted_on="fit features and labels",
    needs=(HEAD_CLASS_STATISTICS,),
    needs_head=True,
    hyperparameters=(Hyperparameter("dim", _DIM, 1, math.inf, f"{_MEANING}; half where the features have no more"),),
)

OPENOOD_RESIDUAL = replace(
    on_validation_data(RESIDUAL, VALIDATION_CLASS_STATISTICS),
    fit=partial(fit, statistic=VALIDATION_CLASS_STATISTICS, name="residual.openood"),
)

VIM: Detector[VimFit] = Detector(
    name="vim",
    title="ViM",
    formula="log sum_c exp(z_c) - a ||R'(h - u)||_2, u = -W^+ b, a = mean max z / mean ||R'(h - u)||_2",
    source="Wang et al. 2022, arXiv 2203.10807",
    score=score_matched,
    fit=partial(_fit_matched, default=None, name="vim"),
    fitted_on="fit features and logits",
    needs=partial(_needs_matched, default=None),
    needs_logits=True,
    needs_head=True,
    hyperparameters=(Hyperparameter("dim", None, 1, math.inf, _MEANING, rule=_RULE),),
)

OPENOOD_VIM = replace(
    VIM,
    name="vim.openood",
    fit=partial(_fit_matched, default=_OPENOOD_VIM_DIM, name="vim.openood"),
    needs=partial(_needs_matched, default=_OPENOOD_VIM_DIM),
    hyperparameters=(
        Hyperparameter("dim", _OPENOOD_VIM_DIM, 1, math.inf, f"{_MEANING}; half where the features have no more"),
    ),
    convention=OPENOOD,
)
