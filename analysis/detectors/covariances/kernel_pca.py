"""What the principal axes leave of a feature that a kernel has mapped: of its direction (CoP), and of waves of that (CoRP)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy

from analysis.algebra.class_accumulators import ClassStatisticsAccumulator
from analysis.algebra.class_scatter import ClassStatistics, require_samples
from analysis.algebra.draws import uniform
from analysis.algebra.residual_space import Subspace, norms_inside, subspace
from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.rows.checks import same_dimensions
from analysis.statistics.class_statistics import UNIT_CLASS_STATISTICS
from analysis.statistics.statistic import Statistic, SweepContext
from featurestore.errors import NumericalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations, Block

ROUNDING = (1024 * np.finfo(np.float64).eps) ** 2
"""Mean square of what rounding leaves of unit rows that are all equal: no row was seen to be off by as much as 1024 ulps."""

_SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class LeftOver:
    """What principal axes leave.

    Attributes:
        mean: Mean of the mapped fit features, float64, shape [M].
        space: The span of the axes beyond the principal ones.
    """

    mean: NDArray[np.float64]
    space: Subspace


@dataclass(frozen=True, slots=True, eq=False)
class WavesFit:
    """What principal axes leave of waves.

    Attributes:
        left: What they leave.
        frequencies: Of the waves, float64, shape [M, D].
        phases: Of the waves, float64, shape [M].
    """

    left: LeftOver
    frequencies: NDArray[np.float64]
    phases: NDArray[np.float64]


class _Waves:
    """Mean and scatter of waves of the features' directions."""

    __slots__ = ("_accumulator", "_frequencies", "_phases")

    def __init__(self, context: SweepContext, count: int, gamma: float) -> None:
        self._frequencies, self._phases = drawn(count, context.dim, gamma)
        self._accumulator = ClassStatisticsAccumulator(1, count)

    def update(self, block: Block) -> None:
        rows = waves(block.activations.normalised64, self._frequencies, self._phases)
        self._accumulator.update(rows, np.zeros(len(rows), np.int64))

    def merge(self, other: _Waves) -> None:
        self._accumulator.merge(other._accumulator)

    def finish(self) -> dict[str, NDArray[Any]]:
        return self._accumulator.finish().to_arrays() | {"dim": np.asarray(self._frequencies.shape[1])}


@lru_cache(maxsize=2)
def drawn(count: int, dim: int, gamma: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies from N(0, 2 gamma), shape [count, dim], and phases from [0, 2 pi), shape [count]; the same ones always."""
    numbers = uniform(np.random.PCG64(_SEED), count * (dim + 1))
    frequencies = np.sqrt(2 * gamma) * scipy.special.ndtri(numbers[count:]).reshape(count, dim)
    return np.asarray(frequencies), np.asarray(2 * np.pi * numbers[:count])


def waves(
    rows: NDArray[np.float64], frequencies: NDArray[np.float64], phases: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Random Fourier features sqrt(2 / M) cos(F u + p): [n, D] to [n, M].

    Their inner products approach the Gaussian kernel exp(-gamma ||u - v||^2). Source: Rahimi & Recht 2007.
    """
    mapped = rows @ frequencies.T
    mapped += phases
    np.cos(mapped, out=mapped)
    mapped *= np.sqrt(2 / len(phases))
    return np.asarray(mapped)


def wave_statistic(count: int, gamma: float) -> Statistic:
    """Mean and scatter of `count` random Fourier features of h / ||h||_2, as class statistics of one class, and `dim`, D."""
    return Statistic(f"waves-{count}-gamma-{gamma!r}", partial(_Waves, count=count, gamma=gamma))


def fit(inputs: FitInputs, *, variance: float) -> LeftOver:
    """Take the axes that the principal ones of unit features leave.

    Raises:
        InputError: The statistics hold no samples.
        NumericalError: The unit features do not vary.
    """
    return left_over(inputs.class_statistics(UNIT_CLASS_STATISTICS), variance)


def needs_waves(*, features: int, gamma: float) -> tuple[Statistic, ...]:
    """Mean and scatter of the waves."""
    return (wave_statistic(features, gamma),)


def fit_waves(inputs: FitInputs, *, features: int, gamma: float, variance: float) -> WavesFit:
    """Take the axes that the principal ones of the waves leave; errors as for `fit`."""
    statistic = wave_statistic(features, gamma)
    found = left_over(inputs.class_statistics(statistic), variance)
    return WavesFit(found, *drawn(features, int(inputs.need(statistic)["dim"]), gamma))


def left_over(statistics: ClassStatistics, variance: float, rounding: float = ROUNDING) -> LeftOver:
    """The axes beyond the fewest that hold a share of the variance, the last one at least.

    Args:
        statistics: Class statistics of mapped features.
        variance: The share, in [0, 1].
        rounding: Mean squared distance of a row from the mean that is no variation.

    Raises:
        InputError: The statistics hold no samples.
        NumericalError: The mapped features do not vary.
    """
    require_samples(statistics)
    values, vectors = scipy.linalg.eigh(statistics.total, driver="evd")
    total = values.sum()
    if total <= rounding * statistics.num_samples:
        raise NumericalError("The directions of the fit features do not vary, so that they have no principal axes.")
    share = np.cumsum(values[::-1]) / total
    principal = min(int(np.searchsorted(share, variance)) + 1, len(values) - 1)
    return LeftOver(statistics.mean, subspace(vectors, 0, len(values) - principal))


def norms_left(fit: LeftOver, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Norms ||R'(f - mean f)||_2 of mapped features f, [n, M] to [n].

    Raises:
        InputError: They have other dimensions than the fit.
    """
    same_dimensions(rows, len(fit.mean))
    away = rows - fit.mean
    return norms_inside(fit.space, away, np.einsum("nm,nm->n", away, away))


def score(fit: LeftOver, activations: Activations) -> NDArray[np.float64]:
    """Return -||R'(u - mean u)||_2, u = h / ||h||_2, shape [n].

    Raises:
        InputError: The features have other dimensions than the fit.
    """
    return -norms_left(fit, activations.normalised64)


def score_waves(fit: WavesFit, activations: Activations) -> NDArray[np.float64]:
    """Return -||R'(f - mean f)||_2, f the waves of u = h / ||h||_2, shape [n].

    Raises:
        InputError: The features have other dimensions than the fit.
    """
    same_dimensions(activations.feature, fit.frequencies.shape[1])
    return -norms_left(fit.left, waves(activations.normalised64, fit.frequencies, fit.phases))


def share_of_variance(default: float) -> tuple[Hyperparameter]:
    """The constant that says how many axes are principal."""
    return (Hyperparameter("variance", default, 0.0, 1.0, "share of the variance that the principal axes hold"),)


COP = Detector(
    name="cop",
    title="CoP",
    formula="-||R'(u - mean u)||_2, u = h / ||h||_2, R: the axes of u beyond the fewest with a share of its variance",
    source="Fang et al. 2024, arXiv 2402.02949",
    score=score,
    fit=fit,
    fitted_on="fit features and labels",
    needs=(UNIT_CLASS_STATISTICS,),
    hyperparameters=share_of_variance(0.99),
)

CORP = Detector(
    name="corp",
    title="CoRP",
    formula=(
        "-||R'(f - mean f)||_2, f = sqrt(2 / M) cos(F u + p), u = h / ||h||_2, F from N(0, 2 g), p from [0, 2 pi), "
        "R: the axes of f beyond the fewest with a share of its variance"
    ),
    source="Fang et al. 2024, arXiv 2402.02949, with the constants of Fang et al. 2025, arXiv 2505.15284, for a ViT",
    score=score_waves,
    fit=fit_waves,
    fitted_on="fit features",
    needs=needs_waves,
    hyperparameters=(
        Hyperparameter("features", 2048, 2, 8192, "M: how many waves; a fit row costs the square of it"),
        Hyperparameter(
            "gamma", 0.1, 1e-6, 1e6, "g: the Gaussian kernel that the waves approach is exp(-g ||u - v||^2)"
        ),
        *share_of_variance(0.9),
    ),
    on_request=True,
)
