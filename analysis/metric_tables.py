"""The metrics of one model in one benchmark, from its stored scores."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from analysis.metrics import OodMetrics, evaluate_dataset
from analysis.targets import metrics_target
from featurestore import writing
from featurestore.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from analysis.benchmarks import Benchmark
    from featurestore.lake import Lake


def write_metrics(lake: Lake, benchmark: Benchmark, model: str, scores: Mapping[str, Mapping[str, str]]) -> bool:
    """Compute and store a model's metrics, unless the lake holds those of the same scores.

    Args:
        lake: The lake.
        benchmark: The benchmark.
        model: The model.
        scores: Fingerprints of the scores to judge, by dataset and detector.

    Returns:
        Whether they were computed.
    """
    target = metrics_target(benchmark, model, scores)
    if writing.find(lake.storage, target, replacing=True):
        return False
    rows = list(_rows(lake, benchmark, model, scores))
    return writing.write_part(
        lake.storage, target, pa.Table.from_pylist(rows, TABLES["metrics"].columns), replacing=True
    )


def _rows(
    lake: Lake, benchmark: Benchmark, model: str, scores: Mapping[str, Mapping[str, str]]
) -> Iterator[dict[str, Any]]:
    key = {"benchmark": benchmark.name, "model": model}
    id_scores = {name: _scores(lake, name, dataset=benchmark.id, **key)[1] for name in scores.get(benchmark.id, {})}
    for ood in benchmark.oods:
        detectors = sorted(set(scores.get(ood, {})) & set(id_scores))
        class_names = (
            lake.read("samples", dataset=ood).column("class_name").to_numpy(zero_copy_only=False) if detectors else None
        )
        for detector in detectors:
            sample, values = _scores(lake, detector, dataset=ood, **key)
            for row in evaluate_dataset(id_scores[detector], values, class_names[sample]):  # type: ignore[index]
                where = {"detector": detector, "id_dataset": benchmark.id, "ood_dataset": ood}
                yield {**where, "ood_class": row.ood_class, "aggregation": row.aggregation, **_numbers(row.metrics)}


def _numbers(metrics: OodMetrics) -> dict[str, Any]:
    return {field.name: getattr(metrics, field.name) for field in fields(OodMetrics)}


def _scores(lake: Lake, detector: str, **key: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    rows = lake.read("scores", detector=detector, **key)
    return rows.column("sample").to_numpy(), rows.column("score").to_numpy()
