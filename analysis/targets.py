"""What the lake should hold: the parts that fits, scores, accuracy and metrics make, each named by all that determines it.

Pure: `score` makes what these name and the lake does not hold, and `status` compares them with what it holds.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from featurestore.tables import TABLES
from featurestore.writing import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from analysis.benchmarks import Benchmark
    from analysis.detectors import Detector
    from featurestore.fingerprint import Ingredients
    from featurestore.manifest import Manifest, Part

# Raised whenever the statistics' numbers change, so that stored fits become stale.
_FIT_VERSION = 1
# Raised whenever a metric's numbers change, so that stored metrics become stale.
_METRICS_VERSION = 1
_SCORES_OF = "scores of "


def fit_target(model: str, dataset: str, name: str, activations: str) -> Target:
    """The part that holds one kind of statistics.

    Args:
        model: The model.
        dataset: The fit dataset.
        name: Name of the statistics.
        activations: Fingerprint of the activations that they come from.
    """
    ingredients: Ingredients = {"activations": activations, "version": _FIT_VERSION}
    return Target(TABLES["fits"], {"model": model, "dataset": dataset}, ingredients, {"fit": name})


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
    fitted = {benchmark.fit: activations[benchmark.fit]} if benchmark.fit in activations and benchmark.fit else {}
    ingredients: Ingredients = {
        "detector_version": detector.version,
        "hyperparameters": [f"{name}={value}" for name, value in sorted(detector.hyperparameters.items())],
        "fits": [_fit(model, fit, need, part.fingerprint) for fit, part in fitted.items() for need in detector.needs],
        "activations": activations[dataset].fingerprint,
        "id_activations": activations[benchmark.id].fingerprint,
    }
    key = {"benchmark": benchmark.name, "model": model, "dataset": dataset}
    return Target(TABLES["scores"], key, ingredients, {"detector": detector.name})


def accuracy_target(model: str, dataset: str, activations: str) -> Target:
    """The partition of a model's accuracy, from the activations of that fingerprint."""
    return Target(TABLES["accuracy"], {"model": model, "dataset": dataset}, {"activations": activations}, {})


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

    Args:
        benchmark: The benchmark.
        model: The model.
        activations: The model's activations by dataset; those on the ID test dataset are among them.
        held: The model's score partitions in the benchmark.
        detectors: The detectors to judge.
    """
    known = list(detectors)
    current: dict[str, dict[str, str]] = {}
    for manifest in held:
        dataset = manifest.key["dataset"]
        if dataset in activations:
            found = {part.key["detector"]: part.fingerprint for part in manifest.parts}
            # A detector that was never scored here has no fingerprint to compare.
            targets = [score_target(benchmark, model, dataset, d, activations) for d in known if d.name in found]
            wanted = {target.part_key["detector"]: target.fingerprint for target in targets}
            current[dataset] = {name: print_ for name, print_ in wanted.items() if found[name] == print_}
    return current


@lru_cache(maxsize=4096)
def _fit(model: str, dataset: str, name: str, activations: str) -> str:
    """Fingerprint of a fit, which all scores of a model share."""
    return fit_target(model, dataset, name, activations).fingerprint


def _digest(fingerprints: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(fingerprints), sort_keys=True).encode()).hexdigest()
