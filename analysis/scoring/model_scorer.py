"""One model in one benchmark: its scores, geometry, accuracy, metrics and mistakes, each made only where it is missing or stale."""

from __future__ import annotations

from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from analysis.detectors import registry
from analysis.lineage.current_scores import current_scores
from analysis.lineage.ingredients import check_same_model, score_target
from analysis.lineage.learning_set import learning_set_of, learning_sets_of, leaves_out_tenth
from analysis.metrics import id_rank, write_accuracy, write_metrics
from analysis.mistakes import Predicted, read_predicted, write_calibration, write_selective
from analysis.rows.lake_rows import Rows, in_tenth
from analysis.scoring.blocks import score_rows
from analysis.scoring.comparing import Comparison
from analysis.scoring.fits import read_fits
from analysis.scoring.geometry_stage import NEEDS as GEOMETRY_NEEDS
from analysis.scoring.geometry_stage import missing_geometry, write_geometry
from analysis.scoring.provisions import Provisions
from analysis.scoring.withdrawal import drop_detector_fits, drop_superseded_fits, withdraw_scores
from analysis.statistics.statistic import FIT
from featurestore.errors import InputError, LakeError
from featurestore.layout import basis
from featurestore.layout.tables import TABLES
from featurestore.partitions import reading, snapshot, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from analysis.detectors import Detector
    from analysis.lineage.benchmark import Benchmark
    from analysis.scoring.fits import Means, ModelFits
    from featurestore.lake import Lake
    from featurestore.layout.manifest import Fragment, Manifest, Part

_UPLOADS = 8
"""Detectors whose scores are stored at a time: each has to be waited for, most of all in a bucket."""


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
        self.provisions = Provisions(lake, benchmark, model, extracted)
        self.predicted = cache(self._predicted)
        self.fitted: dict[str, Any] = {}
        self.asked = asked
        self.refused: dict[str, str] = {}
        self.scored: dict[str, Detector[Any]] = {}
        self.failed: set[str] = set()
        self.made = self.reused = self.skipped = 0

    @cached_property
    def fits(self) -> ModelFits:
        """What the model's detectors learned; reads the head, which nothing needs where all scores are there."""
        which = (self.lake, self.benchmark, self.model, self.activations)
        return read_fits(*which, say=self.say, means=self.means, also=GEOMETRY_NEEDS)

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
        drop_detector_fits(self.lake, self.model)
        # ID first, whatever was asked for: ranks of OOD scores refer to it.
        due = [name for name in wanted if not datasets or name in datasets or name == benchmark.id]
        for dataset in due:
            self._score_dataset(dataset, [detector for detector in usable if detector.score])
        self._compare_datasets(due, [detector for detector in usable if detector.compare])
        self._write_geometry(usable, [name for name in wanted if name not in benchmark.csids])
        for dataset in (benchmark.id, *(name for name in benchmark.csids if name in wanted)):
            self._write_predicted(dataset)
        self._withdraw()
        self._write_judged(learnt_from)
        self._summarise(wanted)
        return self.made, self.reused, self.skipped

    def _variants_held(self, chosen: Sequence[Detector[Any]]) -> list[Detector[Any]]:
        """Where no detector was named, the variants besides that the lake has scores of: they are kept up to date."""
        names = set() if self.asked else _detectors_of(self._score_manifests()) - {detector.name for detector in chosen}
        return [one for name, one in registry.known_by(names).items() if name in names and one.chosen]

    def _score_manifests(self) -> list[Manifest]:
        return self.lake.partitions("scores", benchmark=self.benchmark.name, model=self.model)

    def _withdraw(self) -> None:
        """Let go of what comes from activations that were replaced, and cannot be made from those that replaced them."""
        known = registry.known_by(_detectors_of(self._score_manifests()))

        def impossible(name: str) -> bool:
            return name in self.failed or (name in known and bool(self.provisions.lacking_for_good(known[name])))

        key = {"benchmark": self.benchmark.name, "model": self.model}
        gone = withdraw_scores(self.lake, key, self.activations, impossible)
        if gone:
            self.say(
                f"{self.model}: withdrew the scores by {', '.join(gone)}: their activations were replaced by others, which these cannot score"
            )
        drop_superseded_fits(self.lake, self.model, self.activations)

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
            what = self.provisions.lacking(detector)
            if what:
                lacking.setdefault(what, []).append(detector.name)
            else:
                usable.append(detector)
        for what, names in lacking.items():
            self.say(f"{self.model}: without {', '.join(names)}, which need {what}")
            self.skipped += len(names)
        return usable

    def _score_dataset(self, dataset: str, chosen: Sequence[Detector[Any]]) -> None:
        """Score a dataset block by block where scores are missing or stale."""
        stale = self._stale(dataset, chosen)
        if not stale:
            return
        self.fitted |= self.fits.of([detector for detector in stale if detector.name not in self.fitted])
        rows = Rows(self.lake, self.model, dataset, head=self.fits.head)
        fitted = [detector for detector in stale if detector.name in self.fitted]
        samples, scores, failed = score_rows(rows, fitted, self.fitted, self.activations[dataset].rows, self.means.bars)
        self._leave_out({**self.fits.failed, **failed})
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

    def _key(self, dataset: str) -> dict[str, str]:
        return {"benchmark": self.benchmark.name, "model": self.model, "dataset": dataset}

    def _target(self, dataset: str, detector: Detector[Any]) -> writing.Target:
        return score_target(self.benchmark, self.model, dataset, detector, self.activations)

    def _store(
        self,
        dataset: str,
        chosen: Sequence[Detector[Any]],
        samples: NDArray[np.int64],
        scores: Mapping[str, NDArray[np.float64]],
    ) -> None:
        """Commit the scores that there are; one detector's are stored while those of the next are ranked."""
        stale = [detector for detector in chosen if detector.name in scores]
        if not stale:
            return
        is_id, tenth, kept = dataset == self.benchmark.id, in_tenth(samples), self._judging(dataset, samples)
        id_scores = {} if is_id else self._id_scores(stale)
        written: list[tuple[writing.Target, Future[Fragment], dict[str, Any]]] = []
        with writing.FragmentWriter(self.lake.storage, room=2 * _UPLOADS, storers=_UPLOADS) as writer:
            for detector in stale:
                # Samples that tuned a detector do not judge it.
                judged = kept & ~tenth if is_id and leaves_out_tenth(self.benchmark, detector) else kept
                own = scores[detector.name][judged]
                ranks = id_rank(own, np.sort(own if is_id else id_scores[detector.name])) if len(own) else own
                columns = {"sample": samples[judged], "score": own, "id_rank": ranks}
                target = self._target(dataset, detector)
                details = {basis.NAME: self._basis(dataset, detector)}
                for _, earlier, _ in written:
                    if earlier.done():
                        earlier.result()  # what fails for one fails for all
                written.append((target, writer.submit(target, 0, partial(pa.table, columns)), details))
        parts = [target.part([fragment.result()], details) for target, fragment, details in written]
        writing.commit(self.lake.storage, TABLES["scores"], self._key(dataset), parts, replacing=True)
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
        return self._basis_of(names)

    def _held(self, dataset: str) -> dict[str, str]:
        """Fingerprints of the scores that the lake holds of a dataset, by detector."""
        manifest = snapshot.latest(self.lake.storage, TABLES["scores"], self._key(dataset))
        return {part.key["detector"]: part.fingerprint for part in manifest.parts} if manifest else {}

    def _leave_out(self, failed: Mapping[str, LakeError]) -> None:
        """Say which detectors cannot score this model.

        What ails one that was asked for by name is raised, unless it is that the lake has too little for it and others were asked for.
        """
        for name in sorted(failed.keys() - self.failed):
            error = failed[name]
            if name not in self.asked:
                self.say(f"{self.model}: without {name}: {error}")
            elif {*self.asked} == {name} or not isinstance(error, InputError):
                raise error
            else:
                self.refused[f"{self.model} by {name}"] = str(error)
            self.failed.add(name)
            self.skipped += 1

    def _id_scores(self, detectors: Sequence[Detector[Any]]) -> dict[str, NDArray[np.float64]]:
        """The scores of the ID test samples, by detector, as one manifest names them."""
        names = [detector.name for detector in detectors]
        held, _ = self.lake.part("scores", detector=names[0], **self._key(self.benchmark.id))
        found = {part.key["detector"]: part for part in held.parts}
        return {name: reading.read(self.lake.storage, held, found[name]).column("score").to_numpy() for name in names}

    def _write_geometry(self, usable: Sequence[Detector[Any]], datasets: Sequence[str]) -> None:
        """Measure the feature space where detectors have learned from the fit dataset, whose statistics it needs."""
        learning_set = learning_set_of(self.benchmark, FIT, self.activations)
        if learning_set and any(need.source == FIT for detector in usable for need in detector.statistics):
            missing = missing_geometry(self.lake, self.model, learning_set, self.activations, datasets)
            if missing:
                write_geometry(self.fits, learning_set, missing)

    def _write_predicted(self, dataset: str) -> None:
        """What the head says of a labelled dataset: how often it is right, and whether it is as sure."""
        which = self.lake, self.model, dataset, self.activations[dataset]
        if self.provisions.has_logits:
            write_accuracy(*which)
        write_calibration(*which, partial(self.predicted, dataset))

    def _predicted(self, dataset: str) -> Predicted:
        return read_predicted(self.lake, self.model, dataset, self.provisions.lacking_predictions)

    def _write_judged(self, learnt_from: Iterable[str]) -> None:
        """How well current scores tell ID from OOD, and what the model gets right from what it gets wrong."""
        held = self._score_manifests()
        names = _detectors_of(held)
        self.scored = {name: one for name, one in registry.known_by(names).items() if name in names}
        current = current_scores(self.benchmark, self.model, self.activations, held, self.scored.values())
        rests_on = {*learnt_from, *(name for name, of in current.items() if of)}
        which = self.lake, self.benchmark, self.model, current
        write_metrics(*which, self._basis_of(rests_on))
        rest = self._basis_of(rests_on - {*self.benchmark.csids})
        write_selective(*which, partial(self.predicted, self.benchmark.id), rests_on=rest)

    def _basis_of(self, datasets: Iterable[str]) -> basis.Basis:
        return basis.basis_of(self.model, {name: self.activations[name] for name in datasets})

    def _summarise(self, wanted: Sequence[str]) -> None:
        absent = sorted(set(self.benchmark.scored) - set(wanted))
        made = f"{self.made} score partitions made, {self.reused} in the lake already"
        note = f"; no activations yet on {', '.join(absent)}" if absent else ""
        self.say(f"{self.model} in {self.benchmark.name}: {made}{note}")


def _detectors_of(manifests: Iterable[Manifest]) -> set[str]:
    """Names of the detectors whose scores some manifests hold."""
    return {part.key["detector"] for manifest in manifests for part in manifest.parts}
