"""One model in one benchmark: its scores, geometry, accuracy and metrics, each made only where it is missing or stale."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from analysis.detectors import registry
from analysis.lineage.current_scores import current_scores
from analysis.lineage.ingredients import check_same_model, learned_by_detector, score_target
from analysis.lineage.learning_set import learning_set_of, learning_sets_of, leaves_out_tenth
from analysis.metrics import accuracy, id_rank, write_metrics
from analysis.rows.head import is_headless, read_head, tells_classes
from analysis.rows.lake_rows import Rows, in_tenth
from analysis.scoring.blocks import score_rows
from analysis.scoring.comparing import Comparison
from analysis.scoring.fits import ModelFits, commit_statistics
from analysis.scoring.geometry_stage import NEEDS as GEOMETRY_NEEDS
from analysis.scoring.geometry_stage import missing_geometry, write_geometry
from analysis.scoring.withdrawal import drop_superseded_fits, withdraw_scores
from analysis.statistics.statistic import FIT
from featurestore.errors import InputError, LakeError
from featurestore.layout import basis
from featurestore.layout.tables import TABLES
from featurestore.partitions import snapshot, writing
from featurestore.partitions.stored_accuracy import Accuracy, accuracy_details, accuracy_target

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from analysis.detectors import Detector
    from analysis.lineage.benchmark import Benchmark
    from analysis.scoring.fits import Means
    from featurestore.lake import Lake
    from featurestore.layout.manifest import Part


class ModelScorer:
    """One model in one benchmark."""

    def __init__(
        self,
        lake: Lake,
        benchmark: Benchmark,
        model: str,
        extracted: Mapping[str, Part],
        say: Callable[[str], None],
        *,
        means: Means,
        asked: Collection[str],
    ) -> None:
        self.lake, self.benchmark, self.model, self.say = lake, benchmark, model, say
        self.activations, self.means = extracted, means
        self.fitted: dict[str, Any] = {}
        self.asked = asked
        self.refused: dict[str, str] = {}
        self.scored: dict[str, Detector[Any]] = {}
        self.failed: set[str] = set()
        self.made = self.reused = self.skipped = 0

    @cached_property
    def fits(self) -> ModelFits:
        """What the model's detectors learned; reads the head, which nothing needs where all scores are there."""
        lake, model = self.lake, self.model
        classes = int(lake.read("models", model=model).column("num_classes")[0].as_py()) or self._labelled_classes()
        head = read_head(lake, model, self.activations)
        return ModelFits(
            *(lake, self.benchmark, model, self.activations, classes, head, self.say, self.means),
            also=GEOMETRY_NEEDS,
        )

    @cached_property
    def has_head(self) -> bool:
        """Whether the lake holds a linear head of the model."""
        return self._has_logits and bool(self.lake.partitions("heads", model=self.model))

    @cached_property
    def _has_negatives(self) -> bool:
        head = read_head(self.lake, self.model, self.activations)
        return head is not None and head.negatives is not None

    @cached_property
    def _has_logits(self) -> bool:
        return not is_headless(self.activations)

    @cached_property
    def _lacks_head(self) -> str:
        """What the model lacks that detectors on logits or the head need; empty if it lacks nothing."""
        if not self._has_logits:
            return "logits or a head, and the model has none"
        heads = self.lake.partitions("heads", model=self.model)
        if heads and not tells_classes(heads[0].parts[0]):
            return "a head that tells classes apart, and the weights of the model's are the same for each class"
        return ""

    def _labelled_classes(self) -> int:
        """Classes of a model without a head: those of the benchmark's labels."""
        benchmark, largest = self.benchmark, -1
        for dataset in self.activations.keys() & {benchmark.fit, benchmark.val, benchmark.id}:
            for (label,) in self.lake.batches(model=self.model, dataset=dataset, columns=("label",)):
                largest = max(largest, int(label.max(initial=-1)))
        return largest + 1

    def run(self, chosen: Sequence[Detector[Any]], datasets: Sequence[str]) -> tuple[int, int, int]:
        """Score the model; return how many score partitions were made, found and not possible."""
        benchmark = self.benchmark
        if benchmark.id not in self.activations:
            self.say(f"{self.model}: skipped, it has no activations on the ID test dataset {benchmark.id}")
            return 0, 0, 1
        usable = self._usable([*chosen, *self._variants_held(chosen)])
        wanted = [name for name in benchmark.scored if name in self.activations and self._has_rows(name)]
        learnt_from = [name for name in (benchmark.fit, benchmark.val) if name and name in self.activations]
        check_same_model(self.model, {name: self.activations[name] for name in (*wanted, *learnt_from)})
        self._drop_detector_fits()
        # ID first, whatever was asked for: ranks of OOD scores refer to it.
        asked = [name for name in wanted if not datasets or name in datasets or name == benchmark.id]
        for dataset in asked:
            self._score_dataset(dataset, [detector for detector in usable if detector.score])
        self._compare_datasets(asked, [detector for detector in usable if detector.compare])
        self._write_geometry(usable, [name for name in wanted if name not in benchmark.csids])
        for dataset in (benchmark.id, *(name for name in benchmark.csids if name in wanted)):
            self._write_accuracy(dataset)
        self._withdraw()
        held = self.lake.partitions("scores", benchmark=benchmark.name, model=self.model)
        names = {part.key["detector"] for manifest in held for part in manifest.parts}
        self.scored = {name: one for name, one in registry.known_by(names).items() if name in names}
        current = current_scores(benchmark, self.model, self.activations, held, self.scored.values())
        rests_on = {
            name: self.activations[name] for name in {*learnt_from, *(name for name, of in current.items() if of)}
        }
        write_metrics(self.lake, benchmark, self.model, current, basis.basis_of(self.model, rests_on))
        self._summarise(wanted)
        return self.made, self.reused, self.skipped

    def _variants_held(self, chosen: Sequence[Detector[Any]]) -> list[Detector[Any]]:
        """Where no detector was named, the variants besides that the lake has scores of: they are kept up to date."""
        names = set() if self.asked else self._scored() - {detector.name for detector in chosen}
        return [one for name, one in registry.known_by(names).items() if name in names and one.chosen]

    def _scored(self) -> set[str]:
        """Names of the detectors that the lake has scores of, of this model in this benchmark."""
        held = self.lake.partitions("scores", benchmark=self.benchmark.name, model=self.model)
        return {part.key["detector"] for manifest in held for part in manifest.parts}

    def _withdraw(self) -> None:
        """Let go of what comes from activations that were replaced, and cannot be made from those that replaced them."""
        known = registry.known_by(self._scored())

        def impossible(name: str) -> bool:
            return name in self.failed or (name in known and bool(self._lacks_for_good(known[name])))

        key = {"benchmark": self.benchmark.name, "model": self.model}
        gone = withdraw_scores(self.lake, key, self.activations, impossible)
        if gone:
            self.say(
                f"{self.model}: withdrew the scores by {', '.join(gone)}: their activations were replaced by others, which these cannot score"
            )
        drop_superseded_fits(self.lake, self.model, self.activations)

    def _drop_detector_fits(self) -> None:
        """Let go of what earlier versions stored and this one computes; `gc` collects it."""
        for manifest in self.lake.partitions("fits", model=self.model):
            if any(map(learned_by_detector, manifest.parts)):
                commit_statistics(self.lake, self.model, manifest.key["dataset"])

    def _has_rows(self, dataset: str) -> bool:
        if self.activations[dataset].rows:
            return True
        said = f"The activations of {self.model} on {dataset} hold no sample"
        if dataset == self.benchmark.id:
            raise InputError(f'{said}: `featurestore sql "from failures"` tells why, then extract it again.')
        self.say(f"{said}: {dataset} is left out")
        return False

    def _usable(self, chosen: Sequence[Detector[Any]]) -> list[Detector[Any]]:
        """The detectors that have all that they need; the others are said to be left out."""
        lacking: dict[str, list[str]] = {}
        usable = []
        for detector in chosen:
            what = self._lacks(detector)
            if what:
                lacking.setdefault(what, []).append(detector.name)
            else:
                usable.append(detector)
        for what, names in lacking.items():
            self.say(f"{self.model}: without {', '.join(names)}, which need {what}")
            self.skipped += len(names)
        return usable

    def _lacks_for_good(self, detector: Detector[Any]) -> str:
        """What a detector needs of a network that this one does not have; empty if nothing."""
        if self._lacks_head and detector.reads_head:
            return self._lacks_head
        if detector.needs_head and not self.has_head:
            return "a linear head, and the model has none"
        if detector.needs_negatives and not self._has_negatives:
            return "embeddings of negative labels, and the model's head has none"
        return ""

    def _lacks(self, detector: Detector[Any]) -> str:
        if for_good := self._lacks_for_good(detector):
            return for_good
        for kind, learning_set in learning_sets_of(self.benchmark, detector, self.activations).items():
            if learning_set is None:
                dataset = self.benchmark.fit if kind == FIT else self.benchmark.val
                return f"activations on the {kind} dataset {dataset or 'of the benchmark, which has none'}"
        return ""

    def _score_dataset(self, dataset: str, chosen: Sequence[Detector[Any]]) -> None:
        stale = self._stale(dataset, chosen)
        if stale:
            samples, scores = self._scores(dataset, stale)
            self._store(dataset, stale, samples, scores)

    def _compare_datasets(self, datasets: Sequence[str], chosen: Sequence[Detector[Any]]) -> None:
        """Score the datasets that lack the same detectors in the same sweeps of the fit dataset, and store each once it is done."""
        learning_set = learning_set_of(self.benchmark, FIT, self.activations)
        together: dict[tuple[Detector[Any], ...], list[str]] = {}
        for dataset in datasets:
            together.setdefault(tuple(self._stale(dataset, chosen)), []).append(dataset)
        for stale, lacking in together.items():
            able = [detector for detector in stale if detector.name not in self.failed]
            if able and learning_set:
                comparison = Comparison(self.fits, learning_set, able)
                for dataset, samples, scores in comparison.scores(lacking):
                    self._store(dataset, able, samples, scores)
                self._leave_out(comparison.failed)

    def _stale(self, dataset: str, chosen: Sequence[Detector[Any]]) -> list[Detector[Any]]:
        """The detectors whose scores of a dataset are missing or stale; the others are counted."""
        able = [detector for detector in chosen if detector.name not in self.failed]
        held = self._held(dataset)
        stale = [d for d in able if held.get(d.name) != self._target(dataset, d).fingerprint]
        self.reused += len(able) - len(stale)
        return stale

    def _target(self, dataset: str, detector: Detector[Any]) -> writing.Target:
        return score_target(self.benchmark, self.model, dataset, detector, self.activations)

    def _store(
        self,
        dataset: str,
        chosen: Sequence[Detector[Any]],
        samples: NDArray[np.int64],
        scores: Mapping[str, NDArray[np.float64]],
    ) -> None:
        """Commit the scores that there are."""
        stale = [detector for detector in chosen if detector.name in scores]
        if not stale:
            return
        targets = {detector.name: self._target(dataset, detector) for detector in stale}
        is_id, tenth, kept = dataset == self.benchmark.id, in_tenth(samples), self._judging(dataset, samples)
        parts = []
        for detector in stale:
            # Samples that tuned a detector do not judge it.
            judged = kept & ~tenth if is_id and leaves_out_tenth(self.benchmark, detector) else kept
            own = scores[detector.name][judged]
            reference = own if is_id else self._id_scores(detector.name)
            ranks = id_rank(own, np.sort(reference)) if len(own) else own
            columns = {"sample": samples[judged], "score": own, "id_rank": ranks}
            target = targets[detector.name]
            details = {basis.NAME: self._basis(dataset, detector)}
            fragment = writing.write_fragment(self.lake.storage, target, 0, pa.table(columns))
            parts.append(target.part([fragment], details))
        target = targets[stale[0].name]
        writing.commit(self.lake.storage, target.table, target.key, parts, replacing=True)
        self.made += len(stale)

    def _judging(self, dataset: str, samples: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which samples judge all detectors, shape [n]: all, or those whose bytes no dataset of another role holds.

        Raises:
            InputError: No ID test sample does.
        """
        left_out = self.benchmark.left_out_of(dataset)
        kept = np.ones(len(samples), bool) if left_out is None else ~np.isin(samples, left_out.samples)
        if dataset == self.benchmark.id and not kept.any():
            name = self.benchmark.name
            raise InputError(
                f"Every image of {dataset} is also in a dataset that detectors learn from, so that none judges {name}: "
                f"see `featurestore ask overlaps`, or judge by all with `featurestore benchmark set {name} --with-overlaps`."
            )
        return kept

    def _basis(self, dataset: str, detector: Detector[Any]) -> basis.Basis:
        """What a detector's scores of a dataset rest on."""
        learnt_from = learning_sets_of(self.benchmark, detector, self.activations).values()
        names = {dataset, self.benchmark.id, *(one.dataset for one in learnt_from if one)}
        return basis.basis_of(self.model, {name: self.activations[name] for name in names})

    def _held(self, dataset: str) -> dict[str, str]:
        """Fingerprints of the scores that the lake holds of a dataset, by detector."""
        key = {"benchmark": self.benchmark.name, "model": self.model, "dataset": dataset}
        manifest = snapshot.latest(self.lake.storage, TABLES["scores"], key)
        return {part.key["detector"]: part.fingerprint for part in manifest.parts} if manifest else {}

    def _scores(
        self, dataset: str, chosen: Sequence[Detector[Any]]
    ) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]]]:
        """Scores of a dataset's samples, in their order."""
        self.fitted |= self.fits.of([detector for detector in chosen if detector.name not in self.fitted])
        rows = Rows(self.lake, self.model, dataset, head=self.fits.head)
        by_block = [detector for detector in chosen if detector.name in self.fitted]
        samples, scores, failed = score_rows(
            rows, by_block, self.fitted, self.activations[dataset].rows, self.means.bars
        )
        self._leave_out({**self.fits.failed, **failed})
        return samples, scores

    def _leave_out(self, failed: Mapping[str, LakeError]) -> None:
        """Say which detectors cannot score this model.

        What ails one that was asked for by name is raised, unless it is that the lake has too little for it and others were asked for.
        """
        for name in sorted(failed.keys() - self.failed):
            alone = {*self.asked} == {name} or not isinstance(failed[name], InputError)
            if name in self.asked and alone:
                raise failed[name]
            if name in self.asked:
                self.refused[f"{self.model} by {name}"] = str(failed[name])
            else:
                self.say(f"{self.model}: without {name}: {failed[name]}")
            self.failed.add(name)
            self.skipped += 1

    def _id_scores(self, detector: str) -> NDArray[np.float64]:
        key = {"benchmark": self.benchmark.name, "model": self.model, "dataset": self.benchmark.id}
        scores = self.lake.read("scores", detector=detector, **key).column("score")
        return scores.to_numpy()  # type: ignore[no-any-return]

    def _write_geometry(self, usable: Sequence[Detector[Any]], datasets: Sequence[str]) -> None:
        """Measure the feature space where detectors have learned from the fit dataset, whose statistics it needs."""
        learning_set = learning_set_of(self.benchmark, FIT, self.activations)
        if learning_set and any(need.source == FIT for detector in usable for need in detector.statistics):
            missing = missing_geometry(self.lake, self.model, learning_set, self.activations, datasets)
            if missing:
                write_geometry(self.fits, learning_set, missing)

    def _write_accuracy(self, dataset: str) -> None:
        target = accuracy_target(self.model, dataset, self.activations[dataset].fingerprint)
        if not self._has_logits or writing.find(self.lake.storage, target, replacing=True):
            return
        total = Accuracy()
        for label, logits in self.lake.batches(model=self.model, dataset=dataset, columns=("label", "logits")):
            total += accuracy(logits[label >= 0], label[label >= 0])
        details = accuracy_details(self.model, dataset, self.activations[dataset])
        writing.write_part(self.lake.storage, target, total.rows, replacing=True, details=details)

    def _summarise(self, wanted: Sequence[str]) -> None:
        absent = sorted(set(self.benchmark.scored) - set(wanted))
        made = f"{self.made} score partitions made, {self.reused} in the lake already"
        note = f"; no activations yet on {', '.join(absent)}" if absent else ""
        self.say(f"{self.model} in {self.benchmark.name}: {made}{note}")
