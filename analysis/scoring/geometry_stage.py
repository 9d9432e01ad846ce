"""The geometry of one model's feature space, stored: of the fit dataset from its statistics, of the others from one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from analysis.algebra.class_scatter import ClassStatistics
from analysis.geometry.feature_norms import FEATURE_NORMS
from analysis.geometry.measures import mean_measures, norm_measures, principal_axes, scatter_measures
from analysis.geometry.projections import WITHIN_KURTOSIS
from analysis.lineage.ingredients import geometry_target
from analysis.rows.lake_rows import Rows
from analysis.statistics.class_statistics import CLASS_STATISTICS
from featurestore.layout import basis
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from analysis.lineage.learning_set import LearningSet
    from analysis.scoring.fits import ModelFits
    from featurestore.lake import Lake
    from featurestore.layout.manifest import Part

NEEDS = (CLASS_STATISTICS, FEATURE_NORMS, WITHIN_KURTOSIS)
"""The statistics of the fit dataset that geometry is measured by."""


def missing_geometry(
    lake: Lake, model: str, learning_set: LearningSet, activations: Mapping[str, Part], datasets: Iterable[str]
) -> list[writing.Target]:
    """The partitions of a model's geometry that are missing or stale.

    Args:
        lake: The lake.
        model: The model.
        learning_set: The fit dataset.
        activations: The model's activations by dataset.
        datasets: ID test and OOD datasets among them.
    """
    names = (learning_set.dataset, *datasets)
    targets = [geometry_target(model, name, learning_set, activations[name].fingerprint) for name in names]
    held = writing.find_all(lake.storage, targets)
    return [target for target, part in zip(targets, held, strict=True) if part is None]


def write_geometry(fits: ModelFits, learning_set: LearningSet, targets: Iterable[writing.Target]) -> None:
    """Measure and store the geometry of a model's features.

    Args:
        fits: The model's fits.
        learning_set: The fit dataset.
        targets: What to make, by `missing_geometry`.
    """
    gathered = fits.statistics(learning_set, NEEDS)
    statistics = ClassStatistics.from_arrays(gathered[CLASS_STATISTICS.name])
    axes = principal_axes(statistics)
    roles = {fits.benchmark.fit: "fit", fits.benchmark.id: "id"}
    for target in targets:
        name = target.key["dataset"]
        found: dict[str, object] = {"role": roles.get(name, "ood")}
        if name == learning_set.dataset:
            found |= norm_measures(gathered[FEATURE_NORMS.name])
            found |= scatter_measures(statistics, fits.context(learning_set).dtype)
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
        rests_on = basis.basis_of(fits.model, {of: fits.activations[of] for of in {name, learning_set.dataset}})
        writing.write_part(fits.lake.storage, target, rows, replacing=True, details={basis.NAME: rests_on})


def _relative(
    fits: ModelFits, dataset: str, mean: NDArray[np.float64], axes: NDArray[np.float64]
) -> dict[str, float | int]:
    """How a dataset lies to the fit dataset: its norms, and its energy outside the principal subspace."""
    rows, inside, energy = 0, 0.0, 0.0
    norms: list[NDArray[np.float64]] = []
    for read in Rows(fits.lake, fits.model, dataset, head=fits.head).read(["feature"]):
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
