"""The scoring job: every model in every benchmark, then the ensembles of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.detectors import registry
from analysis.ensembles.described import ensembles_of
from analysis.ensembles.job import combine, refresh_ensembles
from analysis.lineage.benchmark import datasets, overlaps_said, read_benchmarks
from analysis.lineage.descriptions import describe
from analysis.lineage.extracted import extract_again, partial_said, read_extracted
from analysis.scoring.fits import Means
from analysis.scoring.model_scorer import ModelScorer
from featurestore.errors import ConflictError, InputError, MissingError
from featurestore.names import pick
from featurestore.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from analysis.detectors import Detector
    from analysis.ensembles.ensemble import Ensemble
    from analysis.lineage.benchmark import Benchmark
    from analysis.lineage.extracted import Extracted
    from featurestore.lake import Lake
    from featurestore.layout.manifest import Part

_NAMED = 3
_LOOKED_AT = (
    "datasets",
    "models",
    "heads",
    "activations",
    "fits",
    "scores",
    "metrics",
    "accuracy",
    "calibration",
    "selective",
    "geometry",
    "detectors",
)
"""Tables of which a job looks at the partitions of each model."""


@dataclass(frozen=True, slots=True)
class ScoringSelection:
    """What a user asked to score; an empty list means everything."""

    models: Sequence[str] = ()
    detectors: Sequence[str] = ()
    datasets: Sequence[str] = ()
    benchmark: str | None = None


@dataclass(frozen=True, slots=True)
class ScoringSummary:
    """What a job did: score partitions (model, dataset, detector) made and found in the lake, and what it could not do.

    Attributes:
        refused: Why models, datasets of theirs, or detectors that were asked for were left out, by `NAME`, `NAME on DATASET` or
            `NAME by DETECTOR`.
    """

    scored: int
    reused: int
    skipped: int
    seconds: float
    refused: Mapping[str, str] = field(default_factory=dict)


class _Remarks:
    """What is to be said of models: what is alike of many, of the first at once, and of the others in one line at the end."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._models: dict[str, dict[str, None]] = {}

    def of(self, model: str) -> Callable[[str], None]:
        """What is told lines on a model."""

        def say(line: str) -> None:
            remark = line.removeprefix(f"{model}: ")
            models = self._models.setdefault(remark, {}) if remark != line else {}
            if not models:
                self._say(line)
            models[model] = None

        return say

    def say_repeated(self) -> None:
        """Say what was kept back."""
        for remark, (_, *others) in self._models.items():
            if others:
                self._say(f"{_named(others)}, too: {remark}")


def score(
    lake: Lake, selection: ScoringSelection, say: Callable[[str], None], means: Means | None = None
) -> ScoringSummary:
    """Score what is missing or stale in a lake; of several models, those that cannot be scored are left out with a reason.

    Activations of other samples than their dataset has now are scored no more, and their scores judged no more.

    Args:
        lake: The lake.
        selection: Which models, detectors, datasets and benchmark.
        say: Is told each model in a line.
        means: What to work with.

    Raises:
        MissingError: A name is unknown, or there is nothing to score.
        InputError: The lake has too little for the only detector that was asked for by name; of several, those for which it has
            are left out with a reason. Or the only model has no sample on the ID test dataset, or one without a label on the fit dataset.
        ConflictError: The only model's activations come from different weights or preprocessing, or those on the ID test
            dataset are of other samples than it has now.
        NumericalError: Activations of the only model are NaN or infinite; nothing of it is stored. Or a
            detector that was asked for by name cannot score them; another one is said to be left out.
    """
    start = time.monotonic()
    lake.check_exists()
    lake = lake.for_a_job(*_LOOKED_AT)
    chosen = registry.choose(selection.detectors)
    asked = {one.name for name in selection.detectors if name != registry.ALL for one in registry.named(name)}
    extracted = read_extracted(lake)
    if not extracted.current:
        raise MissingError("There are no activations to score yet: run `featurestore extract` first.")
    ensembles = ensembles_of(lake)
    named = [pick("model with activations", name, [*extracted.current, *ensembles]) for name in selection.models]
    names = [name for name in named if name in extracted.current] if named else sorted(extracted.current)
    refusals = Refusals(whole=len(names) == 1)
    scored: dict[str, Detector[Any]] = {}
    for dataset in selection.datasets:
        pick("dataset", dataset, [manifest.key["dataset"] for manifest in lake.partitions("datasets")])
    counts = np.zeros(3, int)
    benchmarks = read_benchmarks(lake, selection.benchmark)
    for line in _said_of_datasets(lake, benchmarks, {name: extracted.current[name] for name in names}):
        say(line)
    remarks = _Remarks(say)
    for benchmark in benchmarks:
        for model in names:
            which = (lake, benchmark, model, extracted.current[model], remarks.of(model))
            with refusals.of(model):
                _check_id(benchmark, model, extracted)
                scorer = ModelScorer(*which, means=means or Means(), asked=asked)
                counts += scorer.run(chosen, selection.datasets)
                refusals.reasons.update(scorer.refused)
                scored |= scorer.scored
        refusals.reasons.update(_left_out(benchmark, names, extracted))
    remarks.say_repeated()
    if ensembles:
        counts += refresh_ensembles(lake, named, selection.benchmark, say)
    describe(lake, scored.values())
    made, reused, skipped = map(int, counts)
    refusals.check_left(made + reused)
    if not made + reused and selection.detectors and skipped:
        raise InputError("Nothing was scored: the lines above say what the detectors that were asked for lack.")
    if not made + reused:
        raise MissingError("There is nothing to score yet: run `featurestore extract` on the ID test dataset first.")
    return ScoringSummary(made, reused, skipped, time.monotonic() - start, dict(refusals.reasons))


def score_ensemble(lake: Lake, ensemble: Ensemble, benchmark: str | None, say: Callable[[str], None]) -> ScoringSummary:
    """Combine the members' scores where they are missing or stale; arguments and errors are those of `combine`."""
    start = time.monotonic()
    made, reused, skipped = combine(lake, ensemble, benchmark, say)
    return ScoringSummary(made, reused, skipped, time.monotonic() - start)


def _said_of_datasets(
    lake: Lake, benchmarks: Sequence[Benchmark], activations: Mapping[str, Mapping[str, Part]]
) -> list[str]:
    """What the user should know of the datasets of some benchmarks: equal images, and activations of a part alone."""
    known, names = datasets(lake), {benchmark.name for benchmark in benchmarks}
    judged = [dataset for dataset in known if names & set(dataset.benchmarks) and dataset.role != "csid"]
    return [*overlaps_said(lake, known, names), *partial_said(activations, judged)]


def _check_id(benchmark: Benchmark, model: str, extracted: Extracted) -> None:
    """Raise if nothing of a model can be judged, since the ID test dataset has other samples now."""
    if benchmark.id in extracted.outdated.get(model, ()):
        raise ConflictError(f"The activations of {model} on {benchmark.id} are {extract_again(benchmark.id)}")


def _left_out(benchmark: Benchmark, models: Iterable[str], extracted: Extracted) -> dict[str, str]:
    """Why datasets other than the ID test dataset were left out, with how many models have outdated activations there."""
    behind = {name: [m for m in models if name in extracted.outdated.get(m, ())] for name in benchmark.others}
    return {
        name: f"the activations of {_named(held)} are {extract_again(name)}" for name, held in behind.items() if held
    }


def _named(models: Sequence[str]) -> str:
    few = ", ".join(models[:_NAMED])
    return f"{len(models):,} models ({few}{', …' if len(models) > _NAMED else ''})" if len(models) > 1 else few
