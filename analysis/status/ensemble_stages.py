"""The stages of an ensemble: its scores come from those of its members, and its metrics from its scores. Pure."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from analysis.ensembles.ensemble import current_ensemble_scores, ensemble_target, stored
from analysis.lineage.ingredients import metrics_target, selective_target
from analysis.status.stage import Stage, joined, judging_stage, stage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from analysis.ensembles.ensemble import CurrentScores, Ensemble, Member
    from analysis.lineage.benchmark import Benchmark
    from analysis.status.lake_index import LakeIndex


def ensemble_stages(
    index: LakeIndex,
    benchmarks: Sequence[Benchmark],
    name: str,
    current: Callable[[Benchmark, str], Mapping[str, Mapping[str, str]]],
    stages_of: Callable[[str], Mapping[str, Mapping[str, Stage]]],
) -> dict[str, dict[str, Stage]]:
    """The stages of an ensemble, by dataset and name, in the benchmarks in which it was made.

    Args:
        index: What the lake holds.
        benchmarks: The benchmarks.
        name: The ensemble.
        current: The current scores of a model in a benchmark, by dataset and detector.
        stages_of: The stages of a model, by dataset and name.
    """
    found: dict[str, dict[str, Stage]] = {}
    for benchmark in (one for one in benchmarks if (one.name, name) in index.scores):
        found_in = _InBenchmark(index, benchmark, name, partial(current, benchmark))
        for dataset, stage, one in found_in.stages(stages_of):
            of = found.setdefault(dataset, {})
            of[stage] = joined(of[stage], one) if stage in of else one
    return found


class _InBenchmark:
    """One ensemble in one benchmark."""

    def __init__(self, index: LakeIndex, benchmark: Benchmark, name: str, current: CurrentScores) -> None:
        self._index, self._benchmark, self._name, self._current = index, benchmark, name, current
        self._scores = index.scores[benchmark.name, name]
        self._own = current_ensemble_scores(benchmark, name, self._scores.values(), current)

    def stages(self, stages_of: Callable[[str], Mapping[str, Mapping[str, Stage]]]) -> Iterator[tuple[str, str, Stage]]:
        """Yield dataset, name of the stage, and stage."""
        benchmark = self._benchmark
        scores = {}
        for dataset in benchmark.scored:
            if dataset in self._scores or self._may_be_made(dataset):
                scores[dataset] = self._of_scores(dataset, stages_of)
                yield dataset, "scores", scores[dataset]
        for target in (metrics_target, selective_target):
            wanted = target(benchmark, self._name, self._own)
            held = self._index.judging.get((wanted.table.name, benchmark.name, self._name))
            yield benchmark.id, wanted.table.name, judging_stage(wanted, held, scores)

    def _may_be_made(self, dataset: str) -> bool:
        """Whether all members have scores of a dataset: else there is nothing to combine."""
        made = [part for manifest in self._scores.values() for part in manifest.parts]
        ensembles = {stored(self._name, part.ingredients) for part in made}
        return any(ensemble_target(self._benchmark, one, dataset, self._current) for one in ensembles)

    def _of_scores(self, dataset: str, stages_of: Callable[[str], Mapping[str, Mapping[str, Stage]]]) -> Stage:
        manifest = self._scores.get(dataset)
        if manifest is None:
            return Stage()
        reasons: list[str] = []
        inherited: list[str] = []
        for part in manifest.parts:
            ensemble = stored(self._name, part.ingredients)
            if part.key["detector"] not in self._own[dataset]:
                reasons.append(self._reason(ensemble, dataset))
            for member in ensemble.members:
                stages = stages_of(member.model)
                inherited += [
                    why for name in self._read(member, dataset) for why in stages[name]["activations"].reasons
                ]
        return stage_of(manifest, reasons or inherited, [part.key["detector"] for part in manifest.parts])

    def _read(self, member: Member, dataset: str) -> list[str]:
        """The datasets whose activations a member's scores come from."""
        held = self._index.scores.get((self._benchmark.name, member.model), {}).get(dataset)
        part = held.part({"detector": member.detector}) if held else None
        fit = self._benchmark.fit if part and part.ingredients.get("learnt_from") else None
        return [name for name in (dataset, self._benchmark.id, fit) if name]

    def _reason(self, ensemble: Ensemble, dataset: str) -> str:
        """Why an ensemble's scores are stale."""
        read = [name for name in (dataset, self._benchmark.id, ensemble.tuned_on) if name]
        stale = [
            str(member)
            for member in ensemble.members
            if any(member.detector not in self._current(member.model).get(name, {}) for name in read)
        ]
        return f"the scores of {', '.join(stale)} are stale" if stale else "the scores of its members changed"
