"""The metrics of one model in one benchmark, from its stored scores."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from analysis.lineage.ingredients import metrics_target, shifted_sets
from analysis.metrics.groups import IdReference
from analysis.metrics.ood_metrics import OodClasses, OodMetrics, dataset_metrics
from featurestore.fragments import opening
from featurestore.layout import basis
from featurestore.layout.tables import TABLES
from featurestore.partitions import reading, row_rules, writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from analysis.lineage.benchmark import Benchmark
    from featurestore.lake import Lake
    from featurestore.layout.manifest import Manifest, Part

_NAMES = tuple(field.name for field in fields(OodMetrics))


def write_metrics(
    lake: Lake,
    benchmark: Benchmark,
    model: str,
    scores: Mapping[str, Mapping[str, str]],
    rests_on: basis.Basis | None = None,
) -> bool:
    """Compute and store a model's metrics, unless the lake holds those of the same scores.

    Args:
        lake: The lake.
        benchmark: The benchmark.
        model: The model.
        scores: Fingerprints of the scores to judge, by dataset and detector.
        rests_on: What these rest on, to be noted; None if that is not known.

    Returns:
        Whether they were computed: also where the lake holds them without a note, or with one of another basis.
    """
    target = metrics_target(benchmark, model, scores)
    held = writing.find(lake.storage, target, replacing=True)
    if held and (rests_on is None or basis.noted(held) == rests_on):
        return False
    rows = pa.Table.from_pylist(list(_rows(lake, benchmark, model, scores)), TABLES["metrics"].columns)
    part = target.part(
        [writing.write_fragment(lake.storage, target, 0, rows)], {basis.NAME: rests_on} if rests_on else {}
    )
    writing.commit(lake.storage, target.table, target.key, [part], replacing=True, dropping=lambda one: one != part)
    return True


def _rows(
    lake: Lake, benchmark: Benchmark, model: str, scores: Mapping[str, Mapping[str, str]]
) -> Iterator[dict[str, Any]]:
    held = {
        (manifest.key["dataset"], part.key["detector"]): (manifest, part)
        for manifest in lake.partitions("scores", benchmark=benchmark.name, model=model)
        for part in manifest.parts
    }
    files = [
        file for (dataset, name), (m, part) in held.items() if name in scores.get(dataset, ()) for file in m.files(part)
    ]
    opening.bring(lake.storage, files)  # at once, where they lie elsewhere
    references = {
        name: IdReference.of(_scores(lake, *held[benchmark.id, name])[1]) for name in scores.get(benchmark.id, {})
    }
    spectra = {
        "standard": references,
        "full": _full_spectrum(lake, held, benchmark.id, shifted_sets(benchmark, scores), scores),
    }
    for ood in benchmark.oods:
        detectors = sorted(set(scores.get(ood, {})) & set(references))
        classes = _classes(lake, ood) if detectors else None
        for detector in detectors:
            sample, values = _scores(lake, *held[ood, detector])
            if problem := row_rules.beyond(sample, len(classes.members) if classes else 0):
                raise reading.unsound(*held[ood, detector], problem)
            if not len(values):  # all that the dataset holds was left out
                continue
            for spectrum, ids in spectra.items():
                found = dataset_metrics(ids[detector], values, classes.take(sample)) if detector in ids else ()  # type: ignore[union-attr]
                for row in found:
                    where = {"detector": detector, "id_dataset": benchmark.id, "ood_dataset": ood, "spectrum": spectrum}
                    numbers = {name: getattr(row.metrics, name) for name in _NAMES}
                    yield {**where, "ood_class": row.ood_class, "aggregation": row.aggregation, **numbers}


def _full_spectrum(
    lake: Lake,
    held: Mapping[tuple[str, str], tuple[Manifest, Part]],
    id_dataset: str,
    shifted: Sequence[str],
    scores: Mapping[str, Mapping[str, str]],
) -> dict[str, IdReference]:
    """The pooled scores of the ID test dataset and of all shifted ones, by detector, of those that have scores of each.

    Source: Yang et al. 2023, full-spectrum OOD detection (IJCV 131); OpenOOD v1.5 pools alike.
    """
    datasets = (id_dataset, *shifted)
    detectors = set.intersection(*(set(scores.get(dataset, {})) for dataset in datasets)) if shifted else set()
    return {
        name: IdReference.of(np.concatenate([_scores(lake, *held[dataset, name])[1] for dataset in datasets]))
        for name in detectors
    }


def _classes(lake: Lake, dataset: str) -> OodClasses:
    manifest, part = lake.part("samples", dataset=dataset)
    names = reading.read(lake.storage, manifest, part, ["class_name"]).column("class_name").combine_chunks()
    if names.null_count:
        return OodClasses.of(names.to_pylist())
    # The few names are sorted, rather than one for each sample.
    coded = names.dictionary_encode()
    return OodClasses.of(coded.dictionary.to_pylist()).take(coded.indices.to_numpy())


def _scores(lake: Lake, manifest: Manifest, part: Part) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    rows = reading.read(lake.storage, manifest, part, ["sample", "score"])
    return rows.column("sample").to_numpy(), rows.column("score").to_numpy()
