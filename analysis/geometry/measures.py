"""Measures of a feature space, from the class statistics of the fit dataset: pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy

from analysis.algebra.gaussian import rounding_variance, solver_rounding
from featurestore.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.algebra.class_scatter import ClassStatistics
    from analysis.rows.head import Head
    from analysis.statistics.statistic import Arrays

EXPLAINED = 0.95
"""Share of the variance of the fit dataset that its principal subspace holds."""


def norm_measures(norms: Arrays) -> dict[str, float]:
    """Mean and spread of feature norms; `norms` is the statistic `FEATURE_NORMS`.

    The spread is that of all samples, of samples about the mean of their class, and of the means of the classes.
    """
    counts, means, squares = norms["counts"], norms["means"], norms["squares"]
    rows = counts.sum()
    mean = float(counts @ means / rows)
    between = float(counts @ (means - mean) ** 2 / rows)
    within = float(squares.sum() / rows)
    return {
        "norm_mean": mean,
        "norm_sd": float(np.sqrt(within + between)),
        "norm_sd_within": float(np.sqrt(within)),
        "norm_sd_between": float(np.sqrt(between)),
    }


def scatter_measures(statistics: ClassStatistics, dtype: str = "float64") -> dict[str, float]:
    """How much features vary within and between classes, and in how many directions.

    `dtype` is the precision in which the features were stored: what varies by its rounding alone is no direction of
    `rank_within`, and does not count in `condition_within`.

    `effective_rank` is the exponential of the entropy of the normalised eigenvalues (Roy & Vetterli 2007),
    `participation` (sum of eigenvalues)^2 / sum of their squares. `nc1` is tr(S_W S_B^+) / C (Papyan, Han & Donoho 2020).

    Raises:
        InputError: There are no samples.
    """
    if statistics.num_samples == 0:
        raise InputError("Class statistics without samples have no geometry; extract the fit dataset first.")
    rows = statistics.num_samples
    within, between = statistics.within / rows, statistics.between / rows
    values, vectors = scipy.linalg.eigh(within)
    spectra = {
        "within": values,
        "between": scipy.linalg.eigvalsh(between),
        "total": scipy.linalg.eigvalsh(within + between),
    }
    found = {
        "scatter_within": float(np.trace(within)),
        "scatter_between": float(np.trace(between)),
        "nc1": _nc1(within, between, int((statistics.counts > 0).sum())),
    }
    if found["scatter_within"] > 0:
        found["scatter_ratio"] = found["scatter_between"] / found["scatter_within"]
    for name, spectrum in spectra.items():
        found |= _spectrum(name, np.clip(spectrum, 0, None))
    rounding = np.maximum(solver_rounding(len(values), values[-1]), rounding_variance(statistics, dtype) @ vectors**2)
    if len(kept := values[values > rounding]):
        found |= {"rank_within": float(len(kept)), "condition_within": float(kept[-1] / kept[0])}
    return found


def mean_measures(statistics: ClassStatistics, head: Head | None) -> dict[str, float]:
    """How the class means, centred at their own mean, lie to each other and to the head's rows.

    `nc2_norms` is the relative spread of their norms; `class_cosine_mean` and `class_cosine_sd` describe their pairwise
    cosines, and `nc2_angles` is the mean distance of those from -1 / (C - 1), the cosine of a simplex. `nc3` is the
    Frobenius distance of the head's rows and the means, both centred and scaled to norm 1; 0 if they are aligned
    (Papyan, Han & Donoho 2020).
    """
    present = statistics.counts > 0
    if present.sum() < 2:
        return {}
    means = statistics.means[present]
    means = means - means.mean(axis=0)
    norms = np.linalg.norm(means, axis=1)
    if not norms.all():
        return {}
    cosines = (means / norms[:, None]) @ (means / norms[:, None]).T
    pairs = cosines[np.triu_indices(len(means), 1)]
    found = {
        "nc2_norms": float(norms.std() / norms.mean()),
        "nc2_angles": float(np.abs(pairs + 1 / (len(means) - 1)).mean()),
        "class_cosine_mean": float(pairs.mean()),
        "class_cosine_sd": float(pairs.std()),
    }
    if head is not None and head.weight.shape == statistics.means.shape:
        rows = head.weight[present] - head.weight[present].mean(axis=0)
        if np.linalg.norm(rows) > 0:
            found["nc3"] = float(np.linalg.norm(rows / np.linalg.norm(rows) - means / np.linalg.norm(means)))
    return found


def principal_axes(statistics: ClassStatistics) -> NDArray[np.float64]:
    """The fewest eigenvectors of the covariance of all fit samples that hold `EXPLAINED` of its trace, shape [D, k]."""
    values, vectors = scipy.linalg.eigh(statistics.total)
    share = np.cumsum(values[::-1]) / max(values.sum(), np.finfo(np.float64).tiny)
    count = int(np.searchsorted(share, EXPLAINED) + 1)
    return vectors[:, ::-1][:, :count]


def _nc1(within: NDArray[np.float64], between: NDArray[np.float64], classes: int) -> float:
    values, vectors = scipy.linalg.eigh(between)
    kept = values > solver_rounding(len(values), max(values[-1], np.trace(within)))
    inside = np.einsum("dk,dk->k", vectors[:, kept], within @ vectors[:, kept])
    return float((inside / values[kept]).sum() / max(classes, 1))


def _spectrum(name: str, values: NDArray[np.float64]) -> dict[str, float]:
    total = values.sum()
    if total == 0:
        return {}
    share = values[values > 0] / total
    return {
        f"effective_rank_{name}": float(np.exp(-(share * np.log(share)).sum())),
        f"participation_{name}": float(1 / (share**2).sum()),
    }
