"""The job that combines stored scores by sample, and stores them as those of a model of their own."""

from __future__ import annotations

from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from analysis.detectors import registry
from analysis.ensembles import combining
from analysis.ensembles.combining import MEAN_RANK, WEIGHTED
from analysis.ensembles.described import check_name, describe, ensembles_of, is_described
from analysis.ensembles.ensemble import Ensemble, Member, current_ensemble_scores, ensemble_target
from analysis.lineage.benchmark import read_benchmarks
from analysis.lineage.current_scores import current_scores
from analysis.lineage.extracted import extract_again, read_extracted
from analysis.metrics import id_rank, write_metrics
from analysis.mistakes import Predicted, write_selective
from featurestore.errors import CorruptionError, InputError, LakeError, MissingError
from featurestore.layout import basis
from featurestore.names import nearest, pick
from featurestore.partitions import row_rules, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from analysis.lineage.benchmark import Benchmark
    from featurestore.lake import Lake
    from featurestore.layout.manifest import Manifest, Part


_NO_CLASS = "an ensemble of scores predicts no class"


def combine(lake: Lake, ensemble: Ensemble, benchmark: str | None, say: Callable[[str], None]) -> tuple[int, int, int]:
    """Combine the members' scores on every dataset where they are missing or stale, and compute the metrics.

    Args:
        lake: The lake.
        ensemble: The ensemble; one of its name must have the same members.
        benchmark: Only this benchmark.
        say: Is told each benchmark in a line.

    Returns:
        How many score partitions were made and found, and in how many benchmarks a member has no scores.

    Raises:
        MissingError: A member has no scores in any benchmark.
        InputError: The name is that of a model or of another ensemble; a member's scores are stale, or of other samples
            than another's; or the weights cannot be tuned so.
        NumericalError: A member's ID scores are all equal, or no member tells ID from OOD.
    """
    lake.check_exists()
    check_name(lake, ensemble)
    found = read_benchmarks(lake, benchmark)
    made = reused = 0
    refused: list[MissingError] = []
    for one in found:
        try:
            new, old = _EnsembleScorer(lake, one, ensemble).run(say)
            made, reused = made + new, reused + old
        except MissingError as error:
            # Its members may be scored in another benchmark.
            refused.append(error)
    if len(refused) == len(found):
        raise refused[0]
    return made, reused, len(refused)


def refresh_ensembles(
    lake: Lake, names: Sequence[str], benchmark: str | None, say: Callable[[str], None]
) -> tuple[int, int, int]:
    """Combine again what a change made stale; return how many score partitions were made, found and not possible.

    Args:
        lake: The lake.
        names: Only these ensembles; all if empty.
        benchmark: Only this benchmark.
        say: Is told each benchmark in a line, and each ensemble that stays as it is.
    """
    counts = np.zeros(3, int)
    for name, recipe in ensembles_of(lake).items():
        members = tuple(Member(*one.split("/", 1)) for one in recipe["ensemble_of"])
        for combination in recipe["combine"] if not names or name in names else ():
            tuned_on = recipe["tuned_on"] if combination == WEIGHTED else None
            try:
                counts += combine(lake, Ensemble(name, members, combination, tuned_on), benchmark, say)
            except LakeError as error:
                say(f"{name} stays as it is: {error}")
                counts += (0, 0, 1)
    made, reused, skipped = map(int, counts)
    return made, reused, skipped


class _EnsembleScorer:
    """One ensemble in one benchmark."""

    def __init__(self, lake: Lake, benchmark: Benchmark, ensemble: Ensemble) -> None:
        self.lake, self.benchmark, self.ensemble = lake, benchmark, ensemble
        self.current = cache(self._current)
        self.extracted = cache(partial(_extracted, lake))

    def run(self, say: Callable[[str], None]) -> tuple[int, int]:
        """Combine, store, describe and judge; return how many score partitions were made and found."""
        benchmark, ensemble = self.benchmark, self.ensemble
        if ensemble.tuned_on:
            pick(f"OOD dataset of the benchmark {benchmark.name}", ensemble.tuned_on, benchmark.oods)
        for dataset in (benchmark.id, ensemble.tuned_on):
            if dataset:
                self._require(dataset)
        lacking = [dataset for dataset in benchmark.scored[1:] if self._absent(dataset)]
        targets = {name: self._target(name) for name in benchmark.scored if name not in lacking}
        storage = self.lake.storage
        missing = [name for name, target in targets.items() if not writing.find(storage, target, replacing=True)]
        if missing or not is_described(self.lake, benchmark, ensemble):
            describe(self.lake, benchmark, ensemble, self._weights)
        for dataset in missing:
            self._write(dataset, targets[dataset])
        held = self.lake.partitions("scores", benchmark=benchmark.name, model=ensemble.name)
        judged = current_ensemble_scores(benchmark, ensemble.name, held, self.current)
        parts = [part for manifest in held for part in manifest.parts if manifest.key["dataset"] in judged]
        which = self.lake, benchmark, ensemble.name, judged
        write_metrics(*which, _basis(parts))
        write_selective(*which, partial(Predicted.none, _NO_CLASS), rests_on=_basis(parts))
        made, reused = len(missing), len(targets) - len(missing)
        note = f"; not on {', '.join(lacking)}, where a member has no scores of its samples" if lacking else ""
        say(f"{ensemble.name} in {benchmark.name}: {made} score partitions made, {reused} in the lake already{note}")
        return made, reused

    def _current(self, model: str) -> dict[str, dict[str, str]]:
        parts, _ = self.extracted(model)
        held = self._held(model).values() if self.benchmark.id in parts else ()
        known = registry.known_by(part.key["detector"] for manifest in held for part in manifest.parts)
        return current_scores(self.benchmark, model, parts, held, known.values())

    def _held(self, model: str) -> dict[str, Manifest]:
        found = self.lake.partitions("scores", benchmark=self.benchmark.name, model=model)
        return {manifest.key["dataset"]: manifest for manifest in found}

    def _part(self, member: Member, dataset: str) -> Part:
        key = {"benchmark": self.benchmark.name, "model": member.model, "dataset": dataset}
        return self.lake.part("scores", detector=member.detector, **key)[1]

    def _absent(self, dataset: str) -> list[Member]:
        """The members that have no scores of a dataset, or scores of other samples than it has now.

        Raises:
            InputError: One has scores that are stale in another way.
        """
        absent = []
        for member in self.ensemble.members:
            held = self._held(member.model).get(dataset)
            outdated = dataset in self.extracted(member.model)[1]
            if outdated or held is None or held.part({"detector": member.detector}) is None:
                absent.append(member)
            elif member.detector not in self.current(member.model).get(dataset, {}):
                raise InputError(
                    f"The scores of {member} on {dataset} are stale: "
                    f"run `featurestore score --model {member.model} --detector {member.detector}` first."
                )
        return absent

    def _require(self, dataset: str) -> None:
        for member in self._absent(dataset):
            if dataset in self.extracted(member.model)[1]:
                raise InputError(f"The activations of {member.model} on {dataset} are {extract_again(dataset)}")
            known = {one.key["model"] for one in self.lake.partitions("scores", benchmark=self.benchmark.name)}
            if member.model not in known:
                raise MissingError(
                    f"There are no scores of a model {member.model!r} in {self.benchmark.name}: "
                    f"{nearest(member.model, known)}"
                )
            raise MissingError(
                f"The lake holds no scores of {member} on {dataset}: "
                f"run `featurestore score --model {member.model} --detector {member.detector}` first."
            )

    def _target(self, dataset: str) -> writing.Target:
        target = ensemble_target(self.benchmark, self.ensemble, dataset, self.current)
        if target is None:
            raise InputError(f"The scores of {self.ensemble.name}'s members on {dataset} changed meanwhile: run again.")
        return target

    def _write(self, dataset: str, target: writing.Target) -> None:
        samples, own = self._combined(dataset)
        reference = own if dataset == self.benchmark.id else self._id_scores
        ranks = id_rank(own, np.sort(reference)) if len(own) else own
        rows = pa.table({"sample": samples, "score": own, "id_rank": ranks})
        details: dict[str, Any] = {"weights": self._weights.tolist()}
        read = [name for name in (dataset, self.benchmark.id, self.ensemble.tuned_on) if name]
        rests_on = _basis([self._part(member, name) for member in self.ensemble.members for name in read])
        details |= {basis.NAME: rests_on} if rests_on else {}
        if self.ensemble.combine == WEIGHTED:
            details |= {"tuning_classes": self._tuning[1], "tuning_id_samples": "a seeded tenth"}
        writing.write_part(self.lake.storage, target, rows, replacing=True, details=details)

    @cached_property
    def _id_scores(self) -> NDArray[np.float64]:
        return self._combined(self.benchmark.id)[1]

    def _combined(self, dataset: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The samples that judge the ensemble, and their scores."""
        samples, scores = self._members(dataset, "id_rank" if self.ensemble.combine == MEAN_RANK else "score")
        if self.ensemble.combine == MEAN_RANK:
            return samples, scores.mean(axis=1)
        kept = ~self._tunes(dataset, samples)
        return samples[kept], self._scale.z_scores(scores[kept]) @ self._weights

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        """Of each member, summing to one."""
        if self.ensemble.combine != WEIGHTED:
            return np.full(len(self.ensemble.members), 1 / len(self.ensemble.members))
        id_scores, ood_scores = self._tuning_scores(self.benchmark.id), self._tuning_scores(str(self.ensemble.tuned_on))
        return combining.fitted_weights(self._scale.z_scores(id_scores), self._scale.z_scores(ood_scores))

    @cached_property
    def _scale(self) -> combining.Scale:
        """Of the ID scores; where weights are tuned, of those that tune them, so that those that judge are unseen."""
        weighted = self.ensemble.combine == WEIGHTED
        id_scores = self._tuning_scores(self.benchmark.id) if weighted else self._members(self.benchmark.id, "score")[1]
        return combining.scale_of(id_scores, self.ensemble.members)

    def _tuning_scores(self, dataset: str) -> NDArray[np.float64]:
        samples, scores = self._members(dataset, "score")
        tuning = self._tunes(dataset, samples)
        if not tuning.any():
            raise InputError(f"Weights cannot be tuned: {dataset} has too few samples to set some of them apart.")
        return scores[tuning]

    def _tunes(self, dataset: str, samples: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which samples tune the weights."""
        if self.ensemble.combine == WEIGHTED and dataset == self.benchmark.id:
            return combining.tunes(samples)
        if dataset == self.ensemble.tuned_on:
            names, tuning = self._tuning
            if problem := row_rules.beyond(samples, len(names)):
                raise CorruptionError(
                    f"Scores of {self.ensemble.members[0]} on {dataset} cannot be used, {problem}: run `featurestore score`."
                )
            return np.isin(names[samples], tuning)
        return np.zeros(len(samples), bool)

    @cached_property
    def _tuning(self) -> tuple[NDArray[Any], list[str]]:
        """The class of each sample of the tuning dataset, and the classes that tune."""
        dataset = str(self.ensemble.tuned_on)
        names = self.lake.read("samples", dataset=dataset).column("class_name").to_numpy(zero_copy_only=False)
        names = np.array(["" if name is None else str(name) for name in names])
        try:
            return names, combining.tuning_classes(names)
        except InputError as error:
            raise InputError(f"Weights cannot be tuned on {dataset}: {error}.") from error

    def _members(self, dataset: str, column: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The samples of a dataset, and the members' values, float64, shape [n, members]."""
        values: list[NDArray[np.float64]] = []
        samples: NDArray[np.int64] | None = None
        for member in self.ensemble.members:
            key = {"benchmark": self.benchmark.name, "model": member.model, "dataset": dataset}
            rows = self.lake.read("scores", detector=member.detector, **key)
            own = rows.column("sample").to_numpy()
            if samples is None:
                samples = own
            elif not np.array_equal(samples, own):
                raise InputError(
                    f"{self.ensemble.members[0]} and {member} were scored on different samples of {dataset} "
                    f"({len(samples):,} and {len(own):,}, {len(np.intersect1d(samples, own)):,} in common): "
                    "combine detectors of one convention, of models that could read the same images."
                )
            values.append(rows.column(column).to_numpy())
        return np.empty(0, np.int64) if samples is None else samples, np.stack(values, axis=1)


def _basis(parts: Sequence[Part]) -> basis.Basis | None:
    """What several scores rest on together; None if one does not say."""
    noted = [basis.noted(part) for part in parts]
    told = [one for one in noted if one]
    return basis.joined(told) if len(told) == len(noted) else None


def _extracted(lake: Lake, model: str) -> tuple[Mapping[str, Part], frozenset[str]]:
    """A model's current activations by dataset, and the datasets on which they are outdated."""
    found = read_extracted(lake, model=model)
    return found.current.get(model, {}), found.outdated.get(model, frozenset())
