"""The scoring job: every model in every benchmark, then the ensembles of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors import registry
from analysis.ensembles.job import combine, ensembles_of, refresh_ensembles
from analysis.lineage.benchmark import read_benchmarks
from analysis.scoring.fits import Means
from analysis.scoring.model_scorer import ModelScorer
from featurestore.errors import InputError, MissingError
from featurestore.names import pick

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analysis.ensembles.ensemble import Ensemble
    from featurestore.lake import Lake
    from featurestore.layout.manifest import Part


@dataclass(frozen=True, slots=True)
class ScoringSelection:
    """What a user asked to score; an empty list means everything."""

    models: Sequence[str] = ()
    detectors: Sequence[str] = ()
    datasets: Sequence[str] = ()
    benchmark: str | None = None


@dataclass(frozen=True, slots=True)
class ScoringSummary:
    """What a job did: score partitions (model, dataset, detector) made and found in the lake, and what it could not do."""

    scored: int
    reused: int
    skipped: int
    seconds: float


def score(
    lake: Lake, selection: ScoringSelection, say: Callable[[str], None], means: Means | None = None
) -> ScoringSummary:
    """Score what is missing or stale in a lake.

    Args:
        lake: The lake.
        selection: Which models, detectors, datasets and benchmark.
        say: Is told each model in a line.
        means: What to work with.

    Raises:
        MissingError: A name is unknown, or there is nothing to score.
        InputError: A model has no sample on the ID test dataset, or one without a label on the fit dataset.
        ConflictError: A model's activations come from different weights or preprocessing.
        NumericalError: Activations are NaN or infinite; nothing of that model is stored. Or a detector that was asked for
            by name cannot score them; another one is said to be left out.
    """
    start = time.monotonic()
    lake.check_exists()
    chosen = registry.choose(selection.detectors)
    extracted = _extracted(lake)
    ensembles = ensembles_of(lake)
    named = [pick("model with activations", name, [*extracted, *ensembles]) for name in selection.models]
    names = [name for name in named if name in extracted] if named else sorted(extracted)
    for dataset in selection.datasets:
        pick("dataset", dataset, [manifest.key["dataset"] for manifest in lake.partitions("datasets")])
    counts = np.zeros(3, int)
    for benchmark in read_benchmarks(lake, selection.benchmark):
        for model in names:
            which = (lake, benchmark, model, extracted[model], say)
            scorer = ModelScorer(*which, means=means or Means(), asked=selection.detectors)
            counts += scorer.run(chosen, selection.datasets)
    if ensembles:
        counts += refresh_ensembles(lake, named, selection.benchmark, say)
    if not counts[:2].any() and selection.detectors and counts[2]:
        raise InputError("Nothing was scored: the lines above say what the detectors that were asked for lack.")
    if not counts[:2].any():
        raise MissingError("There is nothing to score yet: run `featurestore extract` on the ID test dataset first.")
    made, reused, skipped = map(int, counts)
    return ScoringSummary(made, reused, skipped, time.monotonic() - start)


def score_ensemble(lake: Lake, ensemble: Ensemble, benchmark: str | None, say: Callable[[str], None]) -> ScoringSummary:
    """Combine the members' scores where they are missing or stale; arguments and errors are those of `combine`."""
    start = time.monotonic()
    made, reused, skipped = combine(lake, ensemble, benchmark, say)
    return ScoringSummary(made, reused, skipped, time.monotonic() - start)


def _extracted(lake: Lake) -> dict[str, dict[str, Part]]:
    """The activations in the lake, by model and dataset."""
    found: dict[str, dict[str, Part]] = {}
    for manifest in lake.partitions("activations"):
        found.setdefault(manifest.key["model"], {})[manifest.key["dataset"]] = manifest.parts[0]
    if not found:
        raise MissingError("There are no activations to score yet: run `featurestore extract` first.")
    return found
