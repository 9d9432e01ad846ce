"""The graph activations, fits, scores, metrics and what else follows, of each model and dataset: what is there, missing, or stale and why.

A stage is stale if what it was made from changed since, or is stale itself. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from analysis.ensembles.ensemble import is_ensemble
from analysis.lineage.current_scores import current_scores
from analysis.lineage.extracted import extracted_of
from analysis.lineage.ingredients import (
    calibration_target,
    metrics_target,
    score_target,
    selective_target,
    statistic_targets,
)
from analysis.rows.head import is_headless
from analysis.status.ensemble_stages import ensemble_stages
from analysis.status.stage import Stage, differing, joined, judging_stage, stage_of
from featurestore.machine import collector_paused
from featurestore.names import pick

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analysis.detectors import Detector
    from analysis.lineage.benchmark import Benchmark, Dataset
    from analysis.status.lake_index import LakeIndex
    from featurestore.layout.manifest import Part

_GONE = "the activations are gone"
_EXTRACTED = "the activations were extracted again"
_MODEL_WORDS = {"weights_sha256": "weights"}
_SCORE_REASONS = {
    "activations": _EXTRACTED,
    "id_activations": "the ID activations were extracted again",
    "fits": "the fit changed",
    "learnt_from": "the fit changed",
    "left_out": "other samples are left out of the judging now",
    "id_left_out": "other ID samples are left out of the judging now",
}
_DETECTOR_WORDS = {"detector_version": "version", "hyperparameters": "hyperparameters"}


@dataclass(frozen=True, slots=True)
class Row:
    """One model on one dataset.

    Attributes:
        model: The model.
        dataset: The dataset.
        role: Its role.
        stages: The stages by name, those that the role asks for.
        impossible: Detectors that need logits or a head, of a model that has none.
    """

    model: str
    dataset: str
    role: str
    stages: Mapping[str, Stage]
    impossible: frozenset[str] = frozenset()


def status_rows(
    index: LakeIndex, detectors: Mapping[str, Detector[Any]], models: Sequence[str] = (), datasets: Sequence[str] = ()
) -> list[Row]:
    """The stages of every model on every dataset.

    A dataset's role says which stages it has: one to fit has fits, one to score has scores, and the ID test dataset has
    the metrics of the benchmark.

    Args:
        index: What the lake holds.
        detectors: The detectors that there are, by name.
        models: Only these models; all if empty.
        datasets: Only these datasets; all if empty.

    Raises:
        MissingError: The lake has no model or dataset of that name.
    """
    known = sorted(index.models.keys() | index.activations.keys())
    chosen = [pick("model", name, known) for name in models] or known
    wanted = {pick("dataset", name, index.datasets) for name in datasets} or set(index.datasets)
    every = _AllModels(index, detectors)
    with collector_paused():
        return [row for model in chosen for row in every.rows(model) if row.dataset in wanted]


class _AllModels:
    """The stages of all models, each model's once."""

    def __init__(self, index: LakeIndex, detectors: Mapping[str, Detector[Any]]) -> None:
        self._index, self._detectors = index, detectors
        self._benchmarks = index.benchmarks
        self._scored = cache(partial(_OneModel, index, detectors))
        self._stages = cache(self._stages_of)

    def rows(self, model: str) -> list[Row]:
        """A model's rows; an ensemble has some only of what it was made of."""
        stages, known, without = self._stages(model), self._index.datasets, self._impossible(model)
        return [Row(model, name, known[name].role, stages[name], without) for name in known if name in stages]

    def _impossible(self, model: str) -> frozenset[str]:
        parts = {name: manifest.parts[0] for name, manifest in self._index.activations.get(model, {}).items()}
        if not is_headless(parts) and model not in self._index.constant_heads:
            return frozenset()
        return frozenset(name for name, detector in self._detectors.items() if detector.reads_head)

    def _stages_of(self, model: str) -> dict[str, dict[str, Stage]]:
        index = self._index
        if model in index.models and is_ensemble(index.models[model].ingredients):
            return ensemble_stages(
                index, self._benchmarks, model, lambda b, m: self._scored(b, m).current, self._stages
            )
        stages: dict[str, dict[str, Stage]] = {}
        for name, dataset in index.datasets.items():
            stages[name] = {"activations": _activations(index, model, dataset)}
            if dataset.role == "fit":
                stages[name]["fits"] = _fits(index, self._detectors, model, name, stages[name]["activations"])
        for benchmark in self._benchmarks:
            for name, stage, found in self._scored(benchmark, model).stages(stages):
                stages[name][stage] = joined(stages[name][stage], found) if stage in stages[name] else found
            for name in (benchmark.id, *benchmark.csids):
                stages[name]["calibration"] = _calibration(index, model, name, stages[name]["activations"])
        return stages


def _activations(index: LakeIndex, model: str, dataset: Dataset) -> Stage:
    manifest = index.activations.get(model, {}).get(dataset.name)
    if manifest is None:
        return Stage()
    stored = manifest.parts[0].ingredients
    now = index.models[model].ingredients if model in index.models else {}
    reasons = [f"dataset {dataset.name} changed"] if stored.get("dataset_digest") != dataset.digest else []
    changed = sorted(name for name in stored.keys() & now.keys() if stored[name] != now[name])
    return stage_of(manifest, [*reasons, *(f"the {_MODEL_WORDS.get(name, name)} changed" for name in changed)])


def _fits(
    index: LakeIndex, detectors: Mapping[str, Detector[Any]], model: str, dataset: str, activations: Stage
) -> Stage:
    manifest = index.fits.get((model, dataset))
    sources = index.activations.get(model, {})
    if manifest is None or dataset not in sources:
        return Stage() if manifest is None else stage_of(manifest, [_GONE])
    parts = {name: source.parts[0] for name, source in sources.items()}
    expected = statistic_targets(model, dataset, detectors.values(), parts)
    reasons: list[str] = []
    for part in manifest.parts:
        target = expected.get(part.key["fit"])
        if target and part.ingredients != target.ingredients:
            again = "activations" in differing(part.ingredients, target.ingredients)
            reasons.append(_EXTRACTED if again else f"the fit {part.key['fit']} changed its version")
    extracted = [reason for reason in reasons if reason == _EXTRACTED]
    return stage_of(manifest, extracted or reasons or activations.reasons)


def _calibration(index: LakeIndex, model: str, dataset: str, activations: Stage) -> Stage:
    manifest, source = index.calibration.get((model, dataset)), index.activations.get(model, {}).get(dataset)
    if manifest is None or source is None:
        return Stage() if manifest is None else stage_of(manifest, [_GONE])
    stored, target = manifest.parts[0], calibration_target(model, dataset, source.parts[0].fingerprint)
    changed = differing(stored.ingredients, target.ingredients)
    reasons = [_EXTRACTED] if "activations" in changed else ["calibration changed its definition"] if changed else []
    return stage_of(manifest, reasons or activations.reasons)


class _OneModel:
    """The scores of one model in one benchmark, and what judges them."""

    def __init__(
        self, index: LakeIndex, detectors: Mapping[str, Detector[Any]], benchmark: Benchmark, model: str
    ) -> None:
        self._benchmark, self._detectors, self._model = benchmark, detectors, model
        held = index.activations.get(model, {})
        activations = {name: manifest.parts[0] for name, manifest in held.items()}
        digests = {name: dataset.digest for name, dataset in index.datasets.items()}
        of_samples = extracted_of(held.values(), digests).current.get(model, {})
        # Without activations on the ID test dataset nothing in the benchmark can be scored.
        self._activations: Mapping[str, Part] = activations if benchmark.id in activations else {}
        self._scores = index.scores.get((benchmark.name, model), {})
        self._judging = index.judging
        judged = self._scores.values() if benchmark.id in of_samples else ()
        self.current = current_scores(benchmark, model, of_samples, judged, detectors.values())

    def stages(self, earlier: Mapping[str, Mapping[str, Stage]]) -> Iterator[tuple[str, str, Stage]]:
        """Yield dataset, name of the stage, and stage; `earlier` has those of activations and fits, by dataset."""
        benchmark = self._benchmark
        fits = [earlier[benchmark.fit]["fits"]] if benchmark.fit else []
        scores = {}
        for dataset in benchmark.scored:
            sources = [earlier[name]["activations"] for name in dict.fromkeys((dataset, benchmark.id))]
            scores[dataset] = self._of_scores(dataset, sources, fits)
            yield dataset, "scores", scores[dataset]
        for target in (metrics_target, selective_target):
            wanted = target(benchmark, self._model, self.current)
            held = self._judging.get((wanted.table.name, benchmark.name, self._model))
            yield benchmark.id, wanted.table.name, judging_stage(wanted, held, scores)

    def _of_scores(self, dataset: str, sources: Sequence[Stage], fits: Sequence[Stage]) -> Stage:
        manifest = self._scores.get(dataset)
        known = {part.key["detector"]: part for part in manifest.parts} if manifest else {}
        known = {name: part for name, part in known.items() if name in self._detectors}
        if manifest is None or not known:
            return Stage()
        if dataset not in self._activations:
            return stage_of(manifest, [_GONE], known)
        fitted = any(self._detectors[name].learns for name in known)
        stale = {name: part for name, part in known.items() if name not in self.current.get(dataset, {})}
        inherited = [reason for stage in (*sources, *(fits if fitted else ())) for reason in stage.reasons]
        return stage_of(manifest, self._score_reasons(dataset, stale) or inherited, known)

    def _score_reasons(self, dataset: str, stale: Mapping[str, Part]) -> list[str]:
        """Why scores are stale: for each detector the first cause, in the order of the graph."""
        detectors_of: dict[str, list[str]] = {}
        for name, part in stale.items():
            target = score_target(self._benchmark, self._model, dataset, self._detectors[name], self._activations)
            changed = differing(part.ingredients, target.ingredients)
            if not changed:
                # They are stale as their activations are, which tell why.
                continue
            cause = next((name for name in (*_SCORE_REASONS, *_DETECTOR_WORDS) if name in changed), "")
            detectors_of.setdefault(cause, []).append(name)
        return [_score_reason(cause, names) for cause, names in detectors_of.items()]


def _score_reason(cause: str, detectors: Sequence[str]) -> str:
    if cause in _SCORE_REASONS:
        return _SCORE_REASONS[cause]
    what = _DETECTOR_WORDS.get(cause, "definition")
    one = len(detectors) == 1
    return f"detector {detectors[0]} changed its {what}" if one else f"{len(detectors)} detectors changed their {what}"
