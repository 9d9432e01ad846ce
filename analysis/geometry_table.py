"""The geometry of one model's feature space, stored: of the fit dataset from its statistics, of the others from one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from analysis.gathering.class_statistics import CLASS_STATISTICS
from analysis.gathering.feature_norms import FEATURE_NORMS
from analysis.gathering.projections import WITHIN_KURTOSIS
from analysis.gathering.rows import Rows
from analysis.geometry import mean_measures, norm_measures, principal_axes, scatter_measures
from analysis.statistics import ClassStatistics
from analysis.targets import geometry_target
from featurestore import writing
from featurestore.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from analysis.fits import ModelFits
    from analysis.targets import Source

NEEDS = (CLASS_STATISTICS, FEATURE_NORMS, WITHIN_KURTOSIS)
"""The statistics of the fit dataset that geometry is measured by."""


def write_geometry(fits: ModelFits, source: Source, datasets: Iterable[str]) -> None:
    """Measure and store the geometry of a model's features, where it is missing or stale.

    Args:
        fits: The model's fits.
        source: The fit dataset.
        datasets: ID test and OOD datasets with activations of the model.
    """
    targets = {
        name: geometry_target(fits.model, name, source, fits.activations[name].fingerprint)
        for name in (source.dataset, *datasets)
    }
    missing = [name for name, t in targets.items() if writing.find(fits.lake.storage, t, replacing=True) is None]
    if not missing:
        return
    gathered = fits.statistics(source, NEEDS)
    statistics = ClassStatistics.from_arrays(gathered[CLASS_STATISTICS.name])
    axes = principal_axes(statistics)
    for name in missing:
        found: dict[str, object] = {"role": _role(fits, name)}
        if name == source.dataset:
            found |= norm_measures(gathered[FEATURE_NORMS.name])
            found |= scatter_measures(statistics)
            found |= mean_measures(statistics, fits.head)
            kurtosis = gathered[WITHIN_KURTOSIS.name]["kurtosis"]
            found |= {
                "rows": statistics.num_samples,
                "kurtosis_within": float(np.abs(kurtosis).mean()),
                "principal_dim": float(axes.shape[1]),
                "energy_outside": 1 - _captured(statistics, axes),
            }
        else:
            found |= _relative(fits, name, statistics.mean, axes)
        rows = pa.Table.from_pylist([found], TABLES["geometry"].columns)
        writing.write_part(fits.lake.storage, targets[name], rows, replacing=True)


def _relative(
    fits: ModelFits, dataset: str, mean: NDArray[np.float64], axes: NDArray[np.float64]
) -> dict[str, float | int]:
    """How a dataset lies to the fit dataset: its norms, and its energy outside the principal subspace."""
    rows, inside, energy = 0, 0.0, 0.0
    norms: list[NDArray[np.float64]] = []
    for read in Rows(fits.model, dataset, head=fits.head).read(fits.lake, ["feature"]):
        features = read().activations.feature64
        norms.append(np.linalg.norm(features, axis=1))
        centred = features - mean
        rows += len(features)
        energy += float(np.einsum("nd,nd->", centred, centred))
        inside += float(((centred @ axes) ** 2).sum())
    every = np.concatenate([np.empty(0), *norms])
    if not rows or energy == 0:
        return {"rows": rows}
    return {
        "rows": rows,
        "norm_mean": float(every.mean()),
        "norm_sd": float(every.std()),
        "energy_outside": max(0.0, 1 - inside / energy),
    }


def _captured(statistics: ClassStatistics, axes: NDArray[np.float64]) -> float:
    total = statistics.total
    trace = float(np.trace(total))
    return float(np.einsum("dk,dk->", axes, total @ axes)) / trace if trace else 1.0


def _role(fits: ModelFits, dataset: str) -> str:
    return {fits.benchmark.fit: "fit", fits.benchmark.id: "id"}.get(dataset, "ood")
