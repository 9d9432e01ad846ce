"""The graph activations, fits, scores, metrics of each model and dataset: what is there, missing, or stale and why.

A stage is stale if what it was made from changed since, or is stale itself. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.benchmarks import scorable
from analysis.targets import current_scores, fit_targets, judged_dataset, metrics_target, score_target
from featurestore.names import pick

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from analysis.benchmarks import Benchmark, Dataset
    from analysis.detectors import Detector
    from analysis.holdings import Holdings
    from featurestore.fingerprint import Ingredients
    from featurestore.manifest import Manifest, Part

STAGES = ("activations", "fits", "scores", "metrics")
_GONE = "the activations are gone"
_EXTRACTED = "the activations were extracted again"
_MODEL_WORDS = {"weights_sha256": "weights"}
_SCORE_REASONS = {
    "activations": _EXTRACTED,
    "id_activations": "the ID activations were extracted again",
    "fits": "the fit changed",
}
_DETECTOR_WORDS = {"detector_version": "version", "hyperparameters": "hyperparameters"}


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of one model on one dataset.

    Attributes:
        reasons: Why it is stale; empty if it is not.
        detectors: The registered detectors that it has scores of.
        rows: Rows that the lake holds of it.
        bytes: Their bytes.
        created: When the oldest of its manifests was written, ISO 8601; empty if the lake holds nothing of it.
    """

    reasons: tuple[str, ...] = ()
    detectors: frozenset[str] = frozenset()
    rows: int = 0
    bytes: int = 0
    created: str = ""

    @property
    def state(self) -> str:
        """`missing`, `stale` or `fresh`."""
        return "stale" if self.reasons else "fresh" if self.created else "missing"


@dataclass(frozen=True, slots=True)
class Row:
    """One model on one dataset: its stages by name, those that the dataset's role asks for."""

    model: str
    dataset: str
    role: str
    stages: Mapping[str, Stage]


def status(
    held: Holdings, detectors: Mapping[str, Detector[Any]], models: Sequence[str] = (), datasets: Sequence[str] = ()
) -> list[Row]:
    """Judge every stage of every model on every dataset.

    A dataset's role says which stages it has: one to fit has fits, one to score has scores, and the ID test dataset has
    the metrics of the benchmark.

    Args:
        held: What the lake holds.
        detectors: The detectors that there are, by name.
        models: Only these models; all if empty.
        datasets: Only these datasets; all if empty.

    Raises:
        MissingError: The lake has no model or dataset of that name.
    """
    known = sorted(held.models.keys() | held.activations.keys())
    chosen = [pick("model", name, known) for name in models] or known
    wanted = {pick("dataset", name, held.datasets) for name in datasets} or set(held.datasets)
    benchmarks = scorable(held.datasets.values())
    return [row for model in chosen for row in _rows(held, benchmarks, detectors, model) if row.dataset in wanted]


def _rows(
    held: Holdings, benchmarks: Sequence[Benchmark], detectors: Mapping[str, Detector[Any]], model: str
) -> list[Row]:
    stages: dict[str, dict[str, Stage]] = {}
    for name, dataset in held.datasets.items():
        stages[name] = {"activations": _activations(held, model, dataset)}
        if dataset.role == "fit":
            stages[name]["fits"] = _fits(held, detectors, model, name, stages[name]["activations"])
    for benchmark in benchmarks:
        for name, stage, found in _Judge(held, benchmark, detectors, model).stages(stages):
            stages[name][stage] = _joined(stages[name][stage], found) if stage in stages[name] else found
    return [Row(model, name, dataset.role, stages[name]) for name, dataset in held.datasets.items()]


def _activations(held: Holdings, model: str, dataset: Dataset) -> Stage:
    manifest = held.activations.get(model, {}).get(dataset.name)
    if manifest is None:
        return Stage()
    stored = manifest.parts[0].ingredients
    now = held.models[model].ingredients if model in held.models else {}
    reasons = [f"dataset {dataset.name} changed"] if stored.get("dataset_digest") != dataset.digest else []
    changed = sorted(name for name in stored.keys() & now.keys() if stored[name] != now[name])
    return _stage(manifest, [*reasons, *(f"the {_MODEL_WORDS.get(name, name)} changed" for name in changed)])


def _fits(
    held: Holdings, detectors: Mapping[str, Detector[Any]], model: str, dataset: str, activations: Stage
) -> Stage:
    manifest = held.fits.get((model, dataset))
    sources = held.activations.get(model, {})
    if manifest is None or dataset not in sources:
        return Stage() if manifest is None else _stage(manifest, [_GONE])
    parts = {name: source.parts[0] for name, source in sources.items()}
    expected = fit_targets(model, dataset, detectors.values(), parts)
    reasons: list[str] = []
    for part in manifest.parts:
        target = expected.get(part.key["fit"])
        if target and part.fingerprint != target.fingerprint:
            differing = _differing(part.ingredients, target.ingredients)
            changed = "changed" if "statistics" in differing else "changed its version"
            reasons.append(_EXTRACTED if "activations" in differing else f"the fit {part.key['fit']} {changed}")
    again = [reason for reason in reasons if reason == _EXTRACTED]
    return _stage(manifest, again or reasons or activations.reasons)


class _Judge:
    """The scores and metrics of one model in one benchmark."""

    def __init__(
        self, held: Holdings, benchmark: Benchmark, detectors: Mapping[str, Detector[Any]], model: str
    ) -> None:
        self._benchmark, self._detectors, self._model = benchmark, detectors, model
        activations = {name: manifest.parts[0] for name, manifest in held.activations.get(model, {}).items()}
        # Without activations on the ID test dataset nothing in the benchmark can be scored.
        self._activations: Mapping[str, Part] = activations if benchmark.id in activations else {}
        self._scores = held.scores.get((benchmark.name, model), {})
        self._metrics = held.metrics.get((benchmark.name, model))
        self._current = current_scores(benchmark, model, self._activations, self._scores.values(), detectors.values())

    def stages(self, earlier: Mapping[str, Mapping[str, Stage]]) -> Iterator[tuple[str, str, Stage]]:
        """Yield dataset, name of the stage, and stage; `earlier` has those of activations and fits, by dataset."""
        benchmark = self._benchmark
        fits = [earlier[benchmark.fit]["fits"]] if benchmark.fit else []
        scores = {}
        for dataset in (benchmark.id, *benchmark.oods):
            sources = [earlier[name]["activations"] for name in dict.fromkeys((dataset, benchmark.id))]
            scores[dataset] = self._of_scores(dataset, sources, fits)
            yield dataset, "scores", scores[dataset]
        yield benchmark.id, "metrics", self._of_metrics(scores)

    def _of_scores(self, dataset: str, sources: Sequence[Stage], fits: Sequence[Stage]) -> Stage:
        manifest = self._scores.get(dataset)
        known = {part.key["detector"]: part for part in manifest.parts} if manifest else {}
        known = {name: part for name, part in known.items() if name in self._detectors}
        if manifest is None or not known:
            return Stage()
        if dataset not in self._activations:
            return _stage(manifest, [_GONE], known)
        fitted = any(self._detectors[name].learns for name in known)
        stale = {name: part for name, part in known.items() if name not in self._current[dataset]}
        inherited = [reason for stage in (*sources, *(fits if fitted else ())) for reason in stage.reasons]
        return _stage(manifest, self._score_reasons(dataset, stale) or inherited, known)

    def _score_reasons(self, dataset: str, stale: Mapping[str, Part]) -> list[str]:
        """Why scores are stale: for each detector the first cause, in the order of the graph."""
        detectors_of: dict[str, list[str]] = {}
        for name, part in stale.items():
            target = score_target(self._benchmark, self._model, dataset, self._detectors[name], self._activations)
            changed = _differing(part.ingredients, target.ingredients)
            cause = next((name for name in (*_SCORE_REASONS, *_DETECTOR_WORDS) if name in changed), "")
            detectors_of.setdefault(cause, []).append(name)
        return [_score_reason(cause, names) for cause, names in detectors_of.items()]

    def _of_metrics(self, scores: Mapping[str, Stage]) -> Stage:
        manifest = self._metrics
        if manifest is None:
            return Stage()
        stored = manifest.parts[0]
        target = metrics_target(self._benchmark, self._model, self._current)
        if stored.fingerprint == target.fingerprint:
            return _stage(manifest, [reason for stage in scores.values() for reason in stage.reasons])
        changed = _differing(stored.ingredients, target.ingredients)
        judged = [dataset for dataset in map(judged_dataset, changed) if dataset is not None]
        stale = [dataset for dataset in judged if dataset in scores and scores[dataset].reasons]
        others = [dataset for dataset in judged if dataset not in stale]
        reasons = [f"the scores of {', '.join(stale)} are stale"] if stale else []
        reasons += [f"the scores of {', '.join(others)} changed"] if others else []
        return _stage(manifest, reasons or ["the metrics changed their definition"])


def _score_reason(cause: str, detectors: Sequence[str]) -> str:
    if cause in _SCORE_REASONS:
        return _SCORE_REASONS[cause]
    what = _DETECTOR_WORDS.get(cause, "definition")
    one = len(detectors) == 1
    return f"detector {detectors[0]} changed its {what}" if one else f"{len(detectors)} detectors changed their {what}"


def _stage(manifest: Manifest, reasons: Iterable[str], detectors: Iterable[str] = ()) -> Stage:
    rows, size = sum(part.rows for part in manifest.parts), sum(part.bytes for part in manifest.parts)
    return Stage(tuple(dict.fromkeys(reasons)), frozenset(detectors), rows, size, manifest.created)


def _joined(one: Stage, other: Stage) -> Stage:
    """The stage of a dataset that is in two benchmarks."""
    created = [stage.created for stage in (one, other)]
    return Stage(
        tuple(dict.fromkeys(one.reasons + other.reasons)),
        one.detectors | other.detectors,
        one.rows + other.rows,
        one.bytes + other.bytes,
        min(created),
    )


def _differing(stored: Ingredients, wanted: Ingredients) -> list[str]:
    return sorted(name for name in stored.keys() | wanted.keys() if stored.get(name) != wanted.get(name))
