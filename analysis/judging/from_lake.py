"""What a lake holds of a detector, put to use: its statistics, and the scores of the ID test set, if nothing has made them stale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.detectors.in_memory import refitted
from analysis.detectors.registry import get
from analysis.ensembles.described import ensembles_of
from analysis.judging.thresholded import check_tpr
from analysis.lineage.benchmark import read_benchmarks
from analysis.lineage.extracted import extract_again, read_extracted
from analysis.lineage.ingredients import check_same_model, score_target
from analysis.lineage.learning_set import learning_dataset, learning_set_of, learning_sets_of
from analysis.scoring.fits import Means, read_fits
from analysis.statistics.statistic import FIT
from featurestore.errors import ConflictError, InputError, MissingError
from featurestore.layout.fingerprint import differences
from featurestore.layout.recorded_network import RecordedNetwork
from featurestore.layout.tables import TABLES
from featurestore.names import pick
from featurestore.partitions import reading, snapshot
from featurestore.partitions.encoding import to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from analysis.detectors import Detector, FittedDetector
    from analysis.judging.thresholded import ThresholdedDetector
    from analysis.lineage.benchmark import Benchmark
    from analysis.lineage.extracted import Extracted
    from featurestore.lake import Lake
    from featurestore.layout.manifest import Part

    Judge = TypeVar("Judge", bound=ThresholdedDetector)

_USUAL = "main"


@dataclass(frozen=True, slots=True)
class _Place:
    """A detector of a model in a benchmark of a lake, with the model's activations by dataset."""

    lake: Lake
    benchmark: Benchmark
    model: str
    detector: Detector[Any]
    activations: Mapping[str, Part]


def read_judge(
    kind: type[Judge],
    lake: Lake,
    model: str,
    detector: str,
    *,
    tpr: float = 0.95,
    benchmark: str | None = None,
    say: Callable[[str], None],
) -> Judge:
    """A detector of a lake with its threshold.

    Args:
        kind: What is made: `ThresholdedDetector`, or what adds to it.
        lake: The lake.
        model: A model with activations.
        detector: The detector's name, or `knn:k=50` for one with other constants.
        tpr: Share of the ID test images that the threshold accepts.
        benchmark: The benchmark; by default `main`, or the only one in which the model was extracted.
        say: Is told what the user should know of the fit.

    Returns:
        It; fit rows that it compares with stay in the lake.

    Raises:
        MissingError: There is nothing of such a name, or it was not scored yet.
        ConflictError: What the lake holds is stale.
        InputError: `tpr` is no share, the model is in several benchmarks, or the detector cannot learn from it.
    """
    check_tpr(tpr)
    lake.check_exists()
    chosen = get(detector)
    extracted = read_extracted(lake, model=model)
    activations = extracted.current.get(model)
    if activations is None:
        raise _unknown(lake, model)
    where = _benchmark(lake, benchmark, model, activations)
    _check_current(where, model, chosen, extracted)
    place = _Place(lake, where, model, chosen, activations)
    _check_scores(place)
    rows = lake.read("scores", benchmark=where.name, model=model, dataset=where.id, detector=chosen.name)
    return kind(
        fitted=_fitted(place, say),
        id_scores=np.sort(to_numpy(rows.column("score"))),
        tpr=tpr,
        network=_network(place),
        benchmark=where.name,
        id_dataset=where.id,
        class_names=_class_names(lake, where),
    )


def _unknown(lake: Lake, model: str) -> Exception:
    """Why there is no network of a name."""
    if model in ensembles_of(lake):
        return InputError(f"{model} is an ensemble, and has no network of its own: judge by one of its members.")
    pick("model with activations", model, {manifest.key["model"] for manifest in lake.partitions("activations")})
    return MissingError(f"The activations of {model} are gone: run `featurestore extract`.")


def _benchmark(lake: Lake, name: str | None, model: str, activations: Mapping[str, Part]) -> Benchmark:
    found = read_benchmarks(lake, name)
    usual = [one for one in found if one.name == (name or _USUAL)]
    able = usual or [one for one in found if one.id in activations]
    if len(able) > 1:
        raise InputError(
            f"{model} is in several benchmarks ({', '.join(one.name for one in able)}), whose thresholds differ: "
            "name one with --benchmark."
        )
    return able[0] if able else found[0]


def _check_current(benchmark: Benchmark, model: str, detector: Detector[Any], extracted: Extracted) -> None:
    """Raise if activations that count are missing, of other samples than their dataset has, or of several networks."""
    activations, outdated = extracted.current[model], extracted.outdated.get(model, frozenset())
    learning_sets = learning_sets_of(benchmark, detector, activations)
    learnt_from = filter(None, (learning_dataset(benchmark, kind) for kind in learning_sets))
    needed = dict.fromkeys((benchmark.id, *learnt_from))
    for dataset in needed:
        if dataset in outdated:
            raise ConflictError(f"The activations of {model} on {dataset} are {extract_again(dataset)}")
        if dataset not in activations:
            raise MissingError(
                f"{model} has no activations on {dataset}, which {detector.name} needs in the benchmark {benchmark.name}: "
                f"run `featurestore extract --dataset {dataset}`, then `featurestore score`."
            )
    if None in learning_sets.values():
        raise MissingError(f"The benchmark {benchmark.name} has no fit dataset, from which {detector.name} learns.")
    check_same_model(model, {name: activations[name] for name in needed})


def _check_scores(place: _Place) -> None:
    """Raise if the lake has no scores of the ID test set, or they are stale: no threshold can be set."""
    benchmark, model, detector = place.benchmark, place.model, place.detector
    key = {"benchmark": benchmark.name, "model": model, "dataset": benchmark.id}
    manifest = snapshot.latest(place.lake.storage, TABLES["scores"], key)
    held = manifest.part({"detector": detector.name}) if manifest else None
    remedy = f"run `featurestore score --model {model} --detector {detector.name}`"
    what = f"scores of {benchmark.id} by {model} and {detector.name} in the benchmark {benchmark.name}"
    if held is None:
        raise MissingError(f"The lake has no {what}, which set the threshold: {remedy}.")
    wanted = score_target(benchmark, model, benchmark.id, detector, place.activations)
    if held.fingerprint != wanted.fingerprint:
        names = ", ".join(text.partition(" (")[0] for text in differences(held.ingredients, wanted.ingredients))
        raise ConflictError(f"The {what} are stale, as they were made from other {names}: {remedy}.")


def _fitted(place: _Place, say: Callable[[str], None]) -> FittedDetector:
    """The detector, learned from the lake's statistics; what was removed of them is gathered again, and stored."""
    lake, benchmark, model, detector = place.lake, place.benchmark, place.model, place.detector
    fits = read_fits(lake, benchmark, model, place.activations, say=say, means=Means())
    learning_set = learning_set_of(benchmark, FIT, place.activations)
    wanted = {need.for_head(fits.head).name for need in detector.statistics}
    statistics = {name: arrays for name, arrays in fits.needed([detector]).items() if name in wanted}
    bank = fits.rows(learning_set) if detector.compare and learning_set else None
    fitted = refitted(detector, statistics, fits.context(learning_set), bank)
    for warning in fitted.warnings:
        say(f"{model}: {warning}")
    return fitted


def _network(place: _Place) -> RecordedNetwork:
    (row,) = place.lake.read("models", model=place.model).to_pylist()
    first = {place.benchmark.id: place.activations[place.benchmark.id]}
    return RecordedNetwork.of({**row, "model": place.model}, first | dict(place.activations))


def _class_names(lake: Lake, benchmark: Benchmark) -> dict[int, str]:
    """The name of each class that has one alone, as the ID test set says, or the fit dataset where that names none."""
    for dataset in filter(None, (benchmark.id, benchmark.fit)):
        manifest = snapshot.latest(lake.storage, TABLES["samples"], {"dataset": dataset})
        if manifest is None:
            continue
        rows = reading.read(lake.storage, manifest, manifest.parts[0], ["label", "class_name"])
        names: dict[int, set[str]] = {}
        for label, name in set(zip(*(rows.column(column).to_pylist() for column in rows.column_names), strict=True)):
            if label is not None and name:
                names.setdefault(label, set()).add(name)
        if names:
            return {label: of.pop() for label, of in sorted(names.items()) if len(of) == 1}
    return {}
