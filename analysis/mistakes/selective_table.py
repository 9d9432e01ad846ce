"""Selective prediction by every detector of one model in one benchmark, from its stored scores."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from analysis.lineage.ingredients import selective_target
from analysis.mistakes.predicted import NO_LABELS, Predicted
from analysis.mistakes.rejection import oscr, rejection
from featurestore.layout import basis
from featurestore.layout.tables import TABLES
from featurestore.partitions import reading, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from analysis.lineage.benchmark import Benchmark
    from featurestore.lake import Lake

    Scored = tuple[NDArray[np.int64], NDArray[np.float64]]


def write_selective(
    lake: Lake,
    benchmark: Benchmark,
    model: str,
    scores: Mapping[str, Mapping[str, str]],
    predicted: Callable[[], Predicted],
    *,
    rests_on: basis.Basis | None = None,
) -> bool:
    """Judge a model's scores by its own mistakes, and store it, unless the lake holds it of the same scores.

    Args:
        lake: The lake.
        benchmark: The benchmark.
        model: The model.
        scores: Fingerprints of the scores to judge, by dataset and detector.
        predicted: Reads what the model says of the ID test set; where nothing is known, the rows say why.
        rests_on: What the scores rest on, to be noted; None if that is not known.

    Returns:
        Whether it was computed: also where the lake holds it without a note, or with one of another basis.
    """
    target = selective_target(benchmark, model, scores)
    held = writing.find(lake.storage, target, replacing=True)
    if held and (rests_on is None or basis.noted(held) == rests_on):
        return False
    found = [*_rows(lake, benchmark, model, scores, predicted)]
    # Those of the ID test set come first.
    found.sort(key=lambda row: (row.get("ood_dataset") or "", row["detector"]))
    rows = pa.Table.from_pylist(found, TABLES["selective"].columns)
    details = {basis.NAME: rests_on} if rests_on else {}
    writing.write_part(lake.storage, target, rows, replacing=True, details=details)
    return True


def _rows(
    lake: Lake,
    benchmark: Benchmark,
    model: str,
    scores: Mapping[str, Mapping[str, str]],
    predicted: Callable[[], Predicted],
) -> Iterator[dict[str, Any]]:
    held = {
        (manifest.key["dataset"], part.key["detector"]): (manifest, part)
        for manifest in lake.partitions("scores", benchmark=benchmark.name, model=model)
        for part in manifest.parts
    }

    def read(dataset: str, detector: str) -> Scored:
        rows = reading.read(lake.storage, *held[dataset, detector], ["sample", "score"])
        return rows.column("sample").to_numpy(), rows.column("score").to_numpy()

    detectors = sorted(scores.get(benchmark.id, {}))
    said = predicted() if detectors else Predicted.none(NO_LABELS)
    for detector in detectors:
        sample, values = read(benchmark.id, detector)
        place, known = said.places(sample)
        values, right = values[known], said.right[place[known]] if len(said.right) else known[:0]
        where = {
            "detector": detector, "id_dataset": benchmark.id, "n_id": len(values), "unlabelled": len(sample) - len(values),
            "lacking": None if len(values) else said.lacking or NO_LABELS,
        }  # fmt: skip
        own = asdict(rejection(values, right)) if len(values) else {}
        yield where | own
        for ood in benchmark.oods:
            ood_scores = read(ood, detector)[1] if detector in scores.get(ood, {}) else ()
            if len(ood_scores):
                known_of = {"accuracy": own["accuracy"], "oscr": oscr(values, right, ood_scores)} if own else {}
                yield where | {"ood_dataset": ood, "n_ood": len(ood_scores)} | known_of
