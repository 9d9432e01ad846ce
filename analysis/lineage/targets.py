"""What the lake should hold: the parts that statistics, scores, accuracy and metrics make, each named by all that determines it.

Pure: `score` makes what these name and the lake does not hold, and `status` compares them with what it holds.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from analysis.rows.head import normalizes
from analysis.statistics.statistic import FIT, VALIDATION, with_earlier
from featurestore.layout.fingerprint import fingerprint
from featurestore.layout.tables import TABLES
from featurestore.partitions.writing import Target

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from analysis.detectors import Detector
    from analysis.lineage.benchmark import Benchmark
    from analysis.statistics.statistic import Statistic
    from featurestore.layout.fingerprint import Ingredient, Ingredients
    from featurestore.layout.manifest import Manifest, Part

# Raised whenever a metric's numbers change, so that stored metrics become stale.
_METRICS_VERSION = 1
# Raised whenever a measure's numbers change, so that stored geometry becomes stale.
_GEOMETRY_VERSION = 2
_SCORES_OF = "scores of "


@dataclass(frozen=True, slots=True)
class Source:
    """The activations that statistics of one kind are gathered from.

    Attributes:
        dataset: The dataset.
        tenth: Whether only the seeded tenth of it that stands in for validation data.
        activations: Their fingerprint.
    """

    dataset: str
    tenth: bool
    activations: str


def source_of(benchmark: Benchmark, kind: str, activations: Mapping[str, Part]) -> Source | None:
    """Where statistics of a kind come from; None if the model has no activations there yet.

    Args:
        benchmark: The benchmark.
        kind: `FIT` or `VALIDATION`.
        activations: The model's activations by dataset.
    """
    tenth = kind == VALIDATION and benchmark.val is None
    dataset = benchmark.fit if kind == FIT else benchmark.val or benchmark.id
    if dataset is None or dataset not in activations:
        return None
    return Source(dataset, tenth, activations[dataset].fingerprint)


def leaves_out_tenth(benchmark: Benchmark, detector: Detector[Any]) -> bool:
    """Whether a tenth of the ID test set tunes the detector, and therefore cannot judge it."""
    return benchmark.val is None and any(need.source == VALIDATION for need in detector.needs)


def sources_of(
    benchmark: Benchmark, detector: Detector[Any], activations: Mapping[str, Part]
) -> dict[str, Source | None]:
    """The sources of all that a detector learns from, by kind; that of what it is filed under comes first."""
    kinds = {need.source for need in detector.needs} | ({FIT} if detector.compare else set())
    return {kind: source_of(benchmark, kind, activations) for kind in sorted(kinds)}


def statistic_target(model: str, source: Source, statistic: Statistic) -> Target:
    """The part that holds one statistic of a model."""
    earlier: list[Ingredient] = [f"{before.name} {before.version}" for before in statistic.after]
    ingredients: Ingredients = {
        "activations": source.activations,
        "version": statistic.version,
        **({"rows": "a seeded tenth"} if source.tenth else {}),
        **({"after": earlier} if earlier else {}),
    }
    return Target(TABLES["fits"], {"model": model, "dataset": source.dataset}, ingredients, {"fit": statistic.name})


def statistic_targets(
    model: str, dataset: str, detectors: Iterable[Detector[Any]], activations: Mapping[str, Part]
) -> dict[str, Target]:
    """The parts that hold the statistics which detectors ask of a fit dataset, by the statistics' names.

    Args:
        model: The model.
        dataset: The fit dataset; the model has activations of it.
        detectors: The detectors.
        activations: The model's activations by dataset.
    """
    source = Source(dataset, tenth=False, activations=activations[dataset].fingerprint)
    unit = normalizes(activations)
    needs = {need.of(normalizes=unit) for d in detectors for need in d.needs if need.source == FIT}
    return {need.name: statistic_target(model, source, need) for need in with_earlier(needs)}


def learned_by_detector(part: Part) -> bool:
    """Whether a part of `fits` is what a detector learned, as earlier versions stored it beside the statistics."""
    return "detector_version" in part.ingredients


def score_target(
    benchmark: Benchmark, model: str, dataset: str, detector: Detector[Any], activations: Mapping[str, Part]
) -> Target:
    """The part that holds one detector's scores.

    Args:
        benchmark: The benchmark.
        model: The model.
        dataset: The dataset.
        detector: The detector.
        activations: The model's activations by dataset; those on the dataset and on the ID test dataset are among them.
    """
    own = _of_detector(benchmark, model, detector, activations)
    key = {"benchmark": benchmark.name, "model": model, "dataset": dataset}
    return Target(
        TABLES["scores"], key, {**own, **_scored(benchmark, dataset, activations)}, {"detector": detector.name}
    )


def _of_detector(
    benchmark: Benchmark, model: str, detector: Detector[Any], activations: Mapping[str, Part]
) -> Ingredients:
    """The ingredients of a detector's scores that are the same on all datasets."""
    sources = sources_of(benchmark, detector, activations)
    complete = None not in sources.values()
    found = tuple(source for source in sources.values() if source)
    fits: list[Ingredient] = []
    if detector.fit and complete:
        fits = [_fit(model, detector, found, normalizes(activations))]
    return {
        "detector_version": detector.version,
        "hyperparameters": _hyperparameters(detector),
        "fits": fits,
        "learnt_from": [source.activations for source in found],
    }


def _scored(benchmark: Benchmark, dataset: str, activations: Mapping[str, Part]) -> dict[str, str]:
    """The ingredients of scores that are the same for all detectors."""
    return {
        "activations": activations[dataset].fingerprint,
        "id_activations": activations[benchmark.id].fingerprint,
    }


def accuracy_target(model: str, dataset: str, activations: str) -> Target:
    """The partition of a model's accuracy, from the activations of that fingerprint."""
    return Target(TABLES["accuracy"], {"model": model, "dataset": dataset}, {"activations": activations}, {})


def geometry_target(model: str, dataset: str, source: Source, activations: str) -> Target:
    """The part that holds a dataset's geometry as one fit dataset measures it.

    Args:
        model: The model.
        dataset: The dataset.
        source: The fit dataset, whose statistics everything is measured by.
        activations: Fingerprint of the model's activations on the dataset.
    """
    ingredients: Ingredients = {
        "version": _GEOMETRY_VERSION,
        "activations": activations,
        "fit_activations": source.activations,
    }
    return Target(
        TABLES["geometry"], {"model": model, "dataset": dataset}, ingredients, {"fit_dataset": source.dataset}
    )


def metrics_target(benchmark: Benchmark, model: str, scores: Mapping[str, Mapping[str, str]]) -> Target:
    """The partition of a model's metrics.

    Args:
        benchmark: The benchmark.
        model: The model.
        scores: Fingerprints of the scores to judge, by dataset and detector.
    """
    ingredients: Ingredients = {
        "version": _METRICS_VERSION,
        "id_dataset": benchmark.id,
        **{f"{_SCORES_OF}{name}": _digest(of) for name, of in scores.items()},
    }
    return Target(TABLES["metrics"], {"benchmark": benchmark.name, "model": model}, ingredients, {})


def judged_dataset(ingredient: str) -> str | None:
    """The dataset whose scores an ingredient of metrics stands for; None if it stands for something else."""
    return ingredient.removeprefix(_SCORES_OF) if ingredient.startswith(_SCORES_OF) else None


def current_scores(
    benchmark: Benchmark,
    model: str,
    activations: Mapping[str, Part],
    held: Iterable[Manifest],
    detectors: Iterable[Detector[Any]],
) -> dict[str, dict[str, str]]:
    """Fingerprints, by dataset and detector, of the stored scores that nothing has made stale.

    Scores of a detector that is not known here, as that of a plugin which another command named, are judged by the
    activations that they come from.

    Args:
        benchmark: The benchmark.
        model: The model.
        activations: The model's activations by dataset; those on the ID test dataset are among them.
        held: The model's score partitions in the benchmark.
        detectors: The detectors that there are.
    """
    manifests = [manifest for manifest in held if manifest.key["dataset"] in activations]
    # A detector that was never scored here has nothing to compare.
    scored = {part.key["detector"] for manifest in manifests for part in manifest.parts}
    known = {d.name: _of_detector(benchmark, model, d, activations) for d in detectors if d.name in scored}
    present = {part.fingerprint for part in activations.values()}
    current: dict[str, dict[str, str]] = {}
    for manifest in manifests:
        dataset = manifest.key["dataset"]
        here = _scored(benchmark, dataset, activations)
        # Equal ingredients have equal fingerprints, and are compared much sooner than hashed.
        found = {
            part.key["detector"]: part.fingerprint
            for part in manifest.parts
            if _is_current(part.ingredients, known.get(part.key["detector"]), here, present)
        }
        current[dataset] = {name: found[name] for name in sorted(found)}
    return current


def _is_current(
    stored: Ingredients, wanted: Ingredients | None, here: Mapping[str, str], present: Collection[str]
) -> bool:
    """Whether scores are those that would be made now.

    Args:
        stored: Their ingredients.
        wanted: What a known detector's ingredients should be besides `here`; None if the detector is unknown.
        here: What they should come from.
        present: Fingerprints of all activations that the lake holds of the model.
    """
    if any(stored.get(name) != value for name, value in here.items()):
        return False
    if wanted is not None:
        return len(stored) == len(wanted) + len(here) and all(stored.get(n) == value for n, value in wanted.items())
    # All that can be told of an unknown detector's.
    learnt_from = stored.get("learnt_from", [])
    return isinstance(learnt_from, list) and all(source in present for source in learnt_from)


@lru_cache(maxsize=1024)
def _hyperparameters(detector: Detector[Any]) -> list[Ingredient]:
    return [f"{name}={value}" for name, value in sorted(detector.hyperparameters.items())]


@lru_cache(maxsize=65536)
def _fit(model: str, detector: Detector[Any], sources: tuple[Source, ...], normalizes: bool) -> str:
    """Fingerprint of what a detector learned, which is computed and never stored; the scores of all datasets share it."""
    kinds = sorted({need.source for need in detector.needs})
    by_kind = dict(zip(kinds, sources, strict=True))
    needs = [(by_kind[need.source], need.of(normalizes=normalizes)) for need in detector.needs]
    ingredients: Ingredients = {
        "detector_version": detector.version,
        "hyperparameters": _hyperparameters(detector),
        "statistics": [_statistic(model, source, need) for source, need in needs],
    }
    return fingerprint("fits", {"model": model, "dataset": sources[0].dataset, "fit": detector.name}, ingredients)


@lru_cache(maxsize=65536)
def _statistic(model: str, source: Source, statistic: Statistic) -> str:
    """Fingerprint of a statistic, which several detectors share."""
    return statistic_target(model, source, statistic).fingerprint


def _digest(fingerprints: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(fingerprints), sort_keys=True).encode()).hexdigest()
