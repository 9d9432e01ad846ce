"""What the principal axes leave of a feature seen through its kernel with the least confident fit samples (KPCA, Nyström)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy

from analysis.algebra.class_accumulators import ClassStatisticsAccumulator
from analysis.detectors.covariances.kernel_pca import ROUNDING, LeftOver, left_over, norms_left, share_of_variance
from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.rows.activations import normalise
from analysis.rows.checks import same_dimensions
from analysis.statistics.statistic import Statistic, SweepContext

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations, Block
    from analysis.statistics.statistic import Arrays

# Eigenvalues of the landmarks' kernel are taken for no less than this.
_SMALLEST = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class NystromMap:
    """The map u -> K^(-1/2) k(u) that the landmarks' kernel K makes.

    Attributes:
        basis: The landmarks, unit vectors, float64, shape [M, D].
        root: K^(-1/2), float64, shape [M, M].
        gamma: Of the kernel exp(-gamma ||u - v||^2).
    """

    basis: NDArray[np.float64]
    root: NDArray[np.float64]
    gamma: float

    def __call__(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map unit rows, [n, D] to [n, M]."""
        return np.asarray(_kernel(rows, self.basis, self.gamma) @ self.root)


@dataclass(frozen=True, slots=True, eq=False)
class NystromFit:
    """The map, and the space that the principal axes of mapped features leave."""

    mapped: NystromMap
    left: LeftOver


class _Landmarks:
    """The rows of the lowest energies so far; of equal ones those that come first."""

    __slots__ = ("_energy", "_feature", "_gamma", "_limit", "_sample")

    def __init__(self, context: SweepContext, count: int, gamma: float) -> None:
        self._limit, self._gamma = count, gamma
        self._energy, self._sample = np.empty(0), np.empty(0, np.int64)
        self._feature = np.empty((0, context.dim), context.dtype)

    def update(self, block: Block) -> None:
        self._add(block.activations.log_sum_exp, block.sample, block.activations.feature)

    def merge(self, other: _Landmarks) -> None:
        self._add(other._energy, other._sample, other._feature)

    def finish(self) -> dict[str, NDArray[Any]]:
        order = np.argsort(self._sample)
        basis = normalise(self._feature[order])
        values, vectors = scipy.linalg.eigh(_kernel(basis, basis, self._gamma), driver="evd")
        root = (vectors / np.sqrt(np.maximum(values, _SMALLEST))) @ vectors.T
        return {"sample": self._sample[order], "basis": basis, "root": root}

    def _add(self, energy: NDArray[np.float64], sample: NDArray[np.int64], feature: NDArray[Any]) -> None:
        if len(self._energy) == self._limit:
            near = np.flatnonzero(energy <= self._energy.max())
            energy, sample, feature = energy[near], sample[near], feature[near]
        energy, sample = np.concatenate([self._energy, energy]), np.concatenate([self._sample, sample])
        lowest = np.lexsort((sample, energy))[: self._limit]
        self._feature = np.concatenate([self._feature, feature])[lowest]
        self._energy, self._sample = energy[lowest], sample[lowest]


class _Mapped:
    """Mean and scatter of mapped rows."""

    __slots__ = ("_accumulator", "_map")

    def __init__(self, context: SweepContext, landmarks: Statistic, gamma: float) -> None:
        self._map = _map(context.results[landmarks.name], gamma)
        self._accumulator = ClassStatisticsAccumulator(1, len(self._map.basis))

    def update(self, block: Block) -> None:
        rows = self._map(block.activations.normalised64)
        self._accumulator.update(rows, np.zeros(len(rows), np.int64))

    def merge(self, other: _Mapped) -> None:
        self._accumulator.merge(other._accumulator)

    def finish(self) -> dict[str, NDArray[Any]]:
        return self._accumulator.finish().to_arrays()


def needs(*, landmarks: int, gamma: float) -> tuple[Statistic, Statistic]:
    """The landmarks with the inverse root of their kernel, and the scatter of what they map."""
    of = f"{landmarks}-gamma-{gamma!r}"
    start = partial(_Landmarks, count=landmarks, gamma=gamma)
    basis = Statistic(f"landmarks-{of}", start, reads=("feature", "logits"))
    return basis, Statistic(f"nystrom-{of}", partial(_Mapped, landmarks=basis, gamma=gamma), after=(basis,))


def fit(inputs: FitInputs, *, landmarks: int, gamma: float, variance: float) -> NystromFit:
    """Take the axes that the principal ones of the mapped features leave.

    Raises:
        InputError: The statistics hold no samples.
        NumericalError: The mapped features do not vary.
    """
    basis, scatter = needs(landmarks=landmarks, gamma=gamma)
    # The root stretches what rounding leaves of the kernel.
    left = left_over(inputs.class_statistics(scatter), variance, ROUNDING / _SMALLEST)
    return NystromFit(_map(inputs.need(basis), gamma), left)


def score(fit: NystromFit, activations: Activations) -> NDArray[np.float64]:
    """Return -||R'(f - mean f)||_2, f = K^(-1/2) k(u), u = h / ||h||_2, shape [n].

    Raises:
        InputError: The features have other dimensions than the fit.
    """
    same_dimensions(activations.feature, fit.mapped.basis.shape[1])
    return -norms_left(fit.left, fit.mapped(activations.normalised64))


def _map(landmarks: Arrays, gamma: float) -> NystromMap:
    return NystromMap(landmarks["basis"], landmarks["root"], gamma)


def _kernel(rows: NDArray[np.float64], basis: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
    """exp(-gamma ||u - v||^2) of unit vectors: ||u - v||^2 = 2 - 2 u'v, shape [n, M]."""
    products = rows @ basis.T
    products -= 1.0
    products *= 2 * gamma
    return np.asarray(np.exp(products, out=products))


NYSTROM = Detector(
    name="kpca-nystrom",
    title="KPCA (Nyström)",
    formula=(
        "-||R'(f - mean f)||_2, f = K^(-1/2) k(u), k(u)_j = exp(-g ||u - u_j||^2), K = k of the u_j, u = h / ||h||_2, u_j: the M fit "
        "samples of the lowest log sum_c exp(z_c), R: the axes of f beyond the fewest with a share of its variance"
    ),
    source="Fang et al. 2025, arXiv 2505.15284, with its constants for a ViT",
    score=score,
    fit=fit,
    fitted_on="fit features and logits",
    needs=needs,
    hyperparameters=(
        Hyperparameter("landmarks", 2048, 2, 8192, "M: how many fit samples; a fit row costs the square of it, twice"),
        Hyperparameter("gamma", 0.2, 1e-6, 1e6, "g: of the Gaussian kernel"),
        *share_of_variance(0.96),
    ),
    on_request=True,
)
