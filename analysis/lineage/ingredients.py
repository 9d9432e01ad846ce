"""What the lake should hold: the parts that statistics, scores, metrics and what else follows make, each named by all that determines it.

Pure: `score` makes what these name and the lake does not hold, and `status` compares them with what it holds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from analysis.lineage.learning_set import LearningSet, learning_sets_of
from analysis.rows.head import normalizes
from analysis.statistics.statistic import FIT, with_earlier
from featurestore.errors import ConflictError
from featurestore.layout.fingerprint import differences, fingerprint
from featurestore.layout.judged_scores import SHIFTED, ingredient_name, scores_digest
from featurestore.layout.recorded_network import shared_ingredients
from featurestore.layout.tables import TABLES
from featurestore.partitions.writing import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from analysis.detectors import Detector
    from analysis.lineage.benchmark import Benchmark
    from analysis.statistics.statistic import Statistic
    from featurestore.layout.fingerprint import Ingredient, Ingredients
    from featurestore.layout.manifest import Part

# Raised whenever a metric's numbers change, or there is one more, so that stored metrics become stale and `score` makes them
# again, of the scores that are there.
_METRICS_VERSION = 3
# Raised whenever a measure's numbers change, so that stored geometry becomes stale.
_GEOMETRY_VERSION = 2
# The same of selective prediction, and of calibration.
_SELECTIVE_VERSION = 1
_CALIBRATION_VERSION = 1
OF_DATASETS = ("activations", "id_activations", "left_out", "id_left_out")
"""Ingredients of scores that are the same for all detectors: the last two stand only where samples do not judge."""


def statistic_target(model: str, learning_set: LearningSet, statistic: Statistic) -> Target:
    """The part that holds one statistic of a model."""
    earlier: list[Ingredient] = [f"{before.name} {before.version}" for before in statistic.after]
    ingredients: Ingredients = {
        "activations": learning_set.activations,
        "version": statistic.version,
        **({"rows": "a seeded tenth"} if learning_set.tenth else {}),
        **({"after": earlier} if earlier else {}),
    }
    key = {"model": model, "dataset": learning_set.dataset}
    return Target(TABLES["fits"], key, ingredients, {"fit": statistic.name})


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
    learning_set = LearningSet(dataset, tenth=False, activations=activations[dataset].fingerprint)
    unit = normalizes(activations)
    needs = {need.of(normalizes=unit) for d in detectors for need in d.statistics if need.source == FIT}
    return {need.name: statistic_target(model, learning_set, need) for need in with_earlier(needs)}


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
    own = detector_ingredients(benchmark, model, detector, activations)
    ingredients = {**own, **dataset_ingredients(benchmark, dataset, activations)}
    key = {"benchmark": benchmark.name, "model": model, "dataset": dataset}
    return Target(TABLES["scores"], key, ingredients, {"detector": detector.name})


def detector_target(detector: Detector[Any]) -> Target:
    """The part that says what a detector is; two lakes agree on it where they agree on its scores."""
    ingredients: Ingredients = {
        "detector_version": detector.version,
        "hyperparameters": _hyperparameters(detector),
    }
    return Target(TABLES["detectors"], {"detector": detector.name}, ingredients, {})


def detector_ingredients(
    benchmark: Benchmark, model: str, detector: Detector[Any], activations: Mapping[str, Part]
) -> Ingredients:
    """The ingredients of a detector's scores that are the same on all datasets."""
    sources = learning_sets_of(benchmark, detector, activations)
    complete = None not in sources.values()
    found = tuple(learning_set for learning_set in sources.values() if learning_set)
    fitted = detector.fit and complete
    fits: list[Ingredient] = [_fit(model, detector, found, normalizes(activations))] if fitted else []
    return {
        "detector_version": detector.version,
        "hyperparameters": _hyperparameters(detector),
        "fits": fits,
        "learnt_from": [learning_set.activations for learning_set in found],
    }


def dataset_ingredients(benchmark: Benchmark, dataset: str, activations: Mapping[str, Part]) -> dict[str, str]:
    """The ingredients of scores that are the same for all detectors; see `OF_DATASETS`."""
    left_out = {"left_out": benchmark.left_out_of(dataset), "id_left_out": benchmark.left_out_of(benchmark.id)}
    return {
        "activations": activations[dataset].fingerprint,
        "id_activations": activations[benchmark.id].fingerprint,
        **{name: one.digest for name, one in left_out.items() if one},
    }


def geometry_target(model: str, dataset: str, learning_set: LearningSet, activations: str) -> Target:
    """The part that holds a dataset's geometry as one fit dataset measures it.

    Args:
        model: The model.
        dataset: The dataset.
        learning_set: The fit dataset, whose statistics everything is measured by.
        activations: Fingerprint of the model's activations on the dataset.
    """
    ingredients: Ingredients = {
        "version": _GEOMETRY_VERSION,
        "activations": activations,
        "fit_activations": learning_set.activations,
    }
    key = {"model": model, "dataset": dataset}
    return Target(TABLES["geometry"], key, ingredients, {"fit_dataset": learning_set.dataset})


def metrics_target(benchmark: Benchmark, model: str, scores: Mapping[str, Mapping[str, str]]) -> Target:
    """The partition of a model's metrics.

    Args:
        benchmark: The benchmark.
        model: The model.
        scores: Fingerprints of the scores to judge, by dataset and detector.
    """
    shifted = shifted_sets(benchmark, scores)
    ingredients: Ingredients = {
        "version": _METRICS_VERSION,
        "id_dataset": benchmark.id,
        **{ingredient_name(name): scores_digest(of) for name, of in scores.items()},
        **({SHIFTED: list(shifted)} if shifted else {}),
    }
    return Target(TABLES["metrics"], {"benchmark": benchmark.name, "model": model}, ingredients, {})


def selective_target(benchmark: Benchmark, model: str, scores: Mapping[str, Mapping[str, str]]) -> Target:
    """The partition of a model's selective prediction; scores of the ID test set name the activations that tell what is right.

    Args:
        benchmark: The benchmark.
        model: The model.
        scores: Fingerprints of the scores to judge, by dataset and detector; those on csid datasets do not judge.
    """
    judged = {name: of for name, of in scores.items() if name not in benchmark.csids}
    ingredients: Ingredients = {
        "version": _SELECTIVE_VERSION,
        "id_dataset": benchmark.id,
        **{ingredient_name(name): scores_digest(of) for name, of in judged.items()},
    }
    return Target(TABLES["selective"], {"benchmark": benchmark.name, "model": model}, ingredients, {})


def calibration_target(model: str, dataset: str, activations: str) -> Target:
    """The partition of a model's calibration on a dataset, from the activations of that fingerprint."""
    ingredients: Ingredients = {"version": _CALIBRATION_VERSION, "activations": activations}
    return Target(TABLES["calibration"], {"model": model, "dataset": dataset}, ingredients, {})


def shifted_sets(benchmark: Benchmark, scores: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """The csid datasets that are ID, too, in the full spectrum: all of the benchmark, once each has scores; else none."""
    return benchmark.csids if set(benchmark.csids) <= scores.keys() else ()


@lru_cache(maxsize=1024)
def _hyperparameters(detector: Detector[Any]) -> list[Ingredient]:
    stated = (one.ingredient(detector.values[one.name]) for one in detector.hyperparameters)
    return [*sorted(text for text in stated if text is not None)]


@lru_cache(maxsize=65536)
def _fit(model: str, detector: Detector[Any], sources: tuple[LearningSet, ...], normalizes: bool) -> str:
    """Fingerprint of what a detector learned, which is computed and never stored; the scores of all datasets share it."""
    kinds = sorted({need.source for need in detector.statistics})
    by_kind = dict(zip(kinds, sources, strict=True))
    needs = [(by_kind[need.source], need.of(normalizes=normalizes)) for need in detector.statistics]
    ingredients: Ingredients = {
        "detector_version": detector.version,
        "hyperparameters": _hyperparameters(detector),
        "statistics": [_statistic(model, learning_set, need) for learning_set, need in needs],
    }
    return fingerprint("fits", {"model": model, "dataset": sources[0].dataset, "fit": detector.name}, ingredients)


@lru_cache(maxsize=65536)
def _statistic(model: str, learning_set: LearningSet, statistic: Statistic) -> str:
    """Fingerprint of a statistic, which several detectors share."""
    return statistic_target(model, learning_set, statistic).fingerprint


def check_same_model(model: str, activations: Mapping[str, Part]) -> None:
    """Raise if a model's activations on several datasets were not made by the same network.

    Args:
        model: The model's name.
        activations: Its activations by dataset.

    Raises:
        ConflictError: Two datasets differ in weights, preprocessing or precision of the computation.
    """
    if not activations:
        return
    (first, reference), *others = activations.items()
    for dataset, part in others:
        differing = differences(shared_ingredients(reference), shared_ingredients(part))
        if differing:
            names = ", ".join(text.partition(" (")[0] for text in differing)
            raise ConflictError(
                f"The activations of {model} on {first} and on {dataset} differ in {names}: "
                "extract the older ones again with --replace."
            )
