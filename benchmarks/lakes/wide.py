"""Lakes of many models and detectors, of which hardly more than manifests are there: for what is read of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.lineage.benchmark import Benchmark
from analysis.lineage.ingredients import (
    calibration_target,
    geometry_target,
    metrics_target,
    score_target,
    selective_target,
    statistic_targets,
)
from analysis.lineage.learning_set import learning_set_of, learning_sets_of
from analysis.statistics.statistic import FIT
from benchmarks.lakes.tables import activations, put, put_dataset, put_rows
from featurestore import Lake
from featurestore.layout import basis, paths
from featurestore.layout.manifest import Fragment, Manifest, to_json
from featurestore.partitions.stored_accuracy import accuracy_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from analysis.detectors import Detector
    from featurestore.layout.manifest import Part
    from featurestore.partitions.writing import Target

    Detectors = Sequence[Detector[Any]]

WIDTH, SAMPLES = 768, 1
BENCHMARK = Benchmark("main", "train", "val", ("ninco", "unit-tests", "far"))
FRAGMENTS = {"train": 79, "val": 4, "ninco": 1, "unit-tests": 1, "far": 1}
"""Of the activations of one model, by dataset: as many as ImageNet and its OOD sets take."""


def make_wide_lake(location: Path, models: int, known: Detectors) -> None:
    """Make a lake in which every model has activations, scores of all these detectors and what follows, all fresh."""
    lake = Lake(location)
    for name in FRAGMENTS:
        put_dataset(lake, name, _role(name), ["c0"] * SAMPLES, [None] * SAMPLES, digest=_digest(name))
    for number in range(models):
        network = {"architecture": "vit", "weights_sha256": f"{number:064x}"}
        row = {"pretraining": ("in21k", "in1k")[number % 2], "weight_decay": 0.1 * (number % 3)} | network
        put_rows(lake, "models", {"model": f"model-{number:03d}"}, row, ingredients=network)
        _put_model(lake, f"model-{number:03d}", number, network, known)


def replace_dataset(lake: Lake, name: str) -> None:
    """Let a dataset have other samples, as many as before, so that all that rests on it is stale."""
    row = {"role": _role(name), "benchmarks": ["main"], "samples": SAMPLES, "digest": _digest(f"other-{name}")}
    put_rows(lake, "datasets", {"dataset": name}, row, ingredients=row, replacing=True)


def _role(name: str) -> str:
    return {BENCHMARK.fit: "fit", BENCHMARK.id: "id"}.get(name, "ood")


def _digest(name: str) -> str:
    return name.encode().hex().ljust(64, "0")


def _put_model(lake: Lake, model: str, number: int, network: Mapping[str, str], known: Detectors) -> None:
    sample = np.arange(SAMPLES)
    tiny = activations(sample, sample, np.zeros((SAMPLES, WIDTH)), np.zeros((SAMPLES, 2)), "float16")
    parts = {}
    for dataset, count in FRAGMENTS.items():
        key, told = {"model": model, "dataset": dataset}, {"dataset_digest": _digest(dataset), **network}
        put(lake, "activations", key, [tiny] * count, told)
        parts[dataset] = lake.part("activations", **key)[1]
    metrics = [
        {
            "detector": detector, "id_dataset": "val", "ood_dataset": ood, "aggregation": aggregation, "n_id": SAMPLES, "n_ood": SAMPLES,
            "ood_class": f"c{k}" if aggregation == "class" else None, "fpr95": (number * 7 % 100) / 100, "auroc": 0.9,
            "aupr_in": 0.9, "aupr_out": 0.9, "fpr95_ood_positive": 0.3,
        }
        for detector in ("msp", "max-logit", "mahalanobis")
        for ood in ("ninco", "unit-tests")
        for aggregation, k in [("class", k) for k in range(17)] + [("class_mean", 0), ("pooled", 0)]
    ]  # fmt: skip
    prints = _put_manifests(lake, model, parts, known)
    target = metrics_target(BENCHMARK, model, prints)
    details = {basis.NAME: basis.basis_of(model, parts)}
    put_rows(lake, "metrics", target.key, *metrics, ingredients=target.ingredients, details=details)
    selective = [
        {"detector": detector, "id_dataset": "val", "n_id": SAMPLES, "accuracy": 1.0, "aurc": 0.0, "augrc": 0.0}
        for detector in ("msp", "max-logit", "mahalanobis")
    ]
    target = selective_target(BENCHMARK, model, prints)
    put_rows(lake, "selective", target.key, *selective, ingredients=target.ingredients, details=details)
    target = calibration_target(model, "val", parts["val"].fingerprint)
    put_rows(
        lake, "calibration", target.key, {"n": SAMPLES, "ece": 0.1}, ingredients=target.ingredients, details=details
    )
    target = accuracy_target(model, "val", parts["val"].fingerprint)
    accuracy = {"n": SAMPLES, "top1": 0.7 + number / 2000, "top5": 0.9}
    put_rows(lake, "accuracy", target.key, accuracy, ingredients=target.ingredients)


def _put_manifests(lake: Lake, model: str, parts: Mapping[str, Part], known: Detectors) -> dict[str, dict[str, str]]:
    """Commit fits, geometry and scores of all detectors, of which only manifests are read: there are no fragments.

    Returns:
        Fingerprints of the scores, by dataset and detector.
    """
    learning_set = learning_set_of(BENCHMARK, FIT, parts)
    assert learning_set
    _put_manifest(lake, [(one, {}) for one in statistic_targets(model, "train", known, parts).values()])
    for name, part in parts.items():
        target = geometry_target(model, name, learning_set, part.fingerprint)
        _put_manifest(lake, [(target, _note(model, parts, {name, learning_set.dataset}))])
    prints = {}
    for dataset in (BENCHMARK.id, *BENCHMARK.oods):
        targets = {one.name: score_target(BENCHMARK, model, dataset, one, parts) for one in known}
        learnt = {one.name: learning_sets_of(BENCHMARK, one, parts).values() for one in known}
        rest_on = {name: {dataset, BENCHMARK.id, *(of.dataset for of in sets if of)} for name, sets in learnt.items()}
        _put_manifest(lake, [(target, _note(model, parts, rest_on[name])) for name, target in targets.items()])
        prints[dataset] = {name: target.fingerprint for name, target in targets.items()}
    return prints


def _note(model: str, parts: Mapping[str, Part], datasets: Iterable[str]) -> dict[str, basis.Basis]:
    return {basis.NAME: basis.basis_of(model, {name: parts[name] for name in datasets})}


def _put_manifest(lake: Lake, targets: Sequence[tuple[Target, Mapping[str, Any]]]) -> None:
    first = targets[0][0]
    made = tuple(one.part([Fragment(one.fragment_path(0), SAMPLES, 1000, "0" * 64)], told) for one, told in targets)
    manifest = Manifest(first.table.name, dict(first.key), 1, made)
    lake.storage.create(f"{first.folder}/{paths.manifest_name(1)}", to_json(manifest))
