"""Ways to make one score per sample of several: means of ranks or z-scores, and weights that are fitted. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.rows.lake_rows import hashed
from featurestore.errors import InputError, NumericalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

MEAN_RANK, MEAN_Z, WEIGHTED = "mean-rank", "mean-z", "weighted"
COMBINATIONS = (MEAN_RANK, MEAN_Z, WEIGHTED)

_PENALTY = 1e-3
_SHARE = 10
_SEED = 1
"""Of the ID samples that tune weights: another one than that of the tenth which detectors are validated on."""


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """Mean and standard deviation of each member's ID scores, float64, shape [members]."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    def z_scores(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """(s - mean) / deviation, float64, shape [n, members]."""
        return (scores - self.mean) / self.deviation


def scale_of(id_scores: NDArray[np.float64], members: Sequence[object]) -> Scale:
    """Measure the members' ID scores, with 1/n.

    Args:
        id_scores: Float64, shape [n, members].
        members: What messages call them.

    Raises:
        NumericalError: A member gives all ID samples the same score, or there is none.
    """
    spread = np.ptp(id_scores, axis=0) if len(id_scores) else np.zeros(id_scores.shape[1])
    deviation = id_scores.std(axis=0) if len(id_scores) else spread
    flat = ~((spread > 0) & (deviation > 0) & np.isfinite(deviation))
    if flat.any():
        raise NumericalError(
            f"The {len(id_scores):,} ID scores of {members[int(np.argmax(flat))]} do not differ, or too much for float64, "
            "and have no z-scores: combine by mean-rank, or leave that member out."
        )
    return Scale(id_scores.mean(axis=0), deviation)


def fitted_weights(id_z: NDArray[np.float64], ood_z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Choose nonnegative weights that sum to one, by logistic regression of ID against OOD.

    With u = z / r, r the root mean square of a member's z, minimises over v >= 0 and b
    mean_id log(1 + exp(-(v'u + b))) / 2 + mean_ood log(1 + exp(v'u + b)) / 2 + 0.0005 |v|^2, and returns v / r, normalised.

    Args:
        id_z: The members' z-scores of ID samples, float64, shape [n, members].
        ood_z: The same of OOD samples, float64, shape [m, members].

    Returns:
        Float64, shape [members].

    Raises:
        InputError: There is no ID or no OOD sample.
        NumericalError: No member tells them apart.
    """
    if not len(id_z) or not len(ood_z):
        raise InputError("Weights are fitted on ID and OOD samples: there are none of one kind.")
    size = np.sqrt((np.square(id_z).mean(axis=0) + np.square(ood_z).mean(axis=0)) / 2)
    rows = np.concatenate([-id_z, ood_z]) / size
    signs = np.concatenate([np.full(len(id_z), -1.0), np.full(len(ood_z), 1.0)])
    shares = np.concatenate([np.full(len(id_z), 0.5 / len(id_z)), np.full(len(ood_z), 0.5 / len(ood_z))])

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margins = rows @ at[:-1] + signs * at[-1]
        slopes = shares * 0.5 * (1 + np.tanh(margins / 2))
        gradient = np.append(rows.T @ slopes + _PENALTY * at[:-1], signs @ slopes)
        return float(shares @ np.logaddexp(0, margins) + _PENALTY / 2 * at[:-1] @ at[:-1]), gradient

    from scipy import optimize  # slow to import, and all scoring is behind this file

    members = id_z.shape[1]
    bounds = optimize.Bounds(np.append(np.zeros(members), -np.inf), np.full(members + 1, np.inf))
    start = np.zeros(members + 1)
    options: Any = {"maxiter": 10_000, "ftol": 1e-15, "gtol": 1e-9}
    optimum = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    found = optimum.x[:-1] / size
    if not found.sum() > 0:
        raise NumericalError(
            "No member scores the tuning ID samples above the tuning OOD samples: there are no weights to choose."
        )
    return np.asarray(found / found.sum())


def tunes(sample: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which samples of an ID test set tune weights, and therefore do not judge them: a seeded tenth, shape [n]."""
    return np.asarray(hashed(sample, _SEED) % np.uint64(_SHARE) == 0)


def tuning_classes(names: Iterable[str]) -> list[str]:
    """Which classes of an OOD dataset tune weights, and therefore do not judge them: a seeded half, rounded down.

    Raises:
        InputError: There are fewer than two classes.
    """
    ordered = sorted(set(names), key=lambda name: hashlib.sha256(f"{_SEED} {name}".encode()).digest())
    if len(ordered) < 2:
        raise InputError("it has one class only, so that none would be left to judge the weights")
    return sorted(ordered[: len(ordered) // 2])
