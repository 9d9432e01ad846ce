"""Whatever determines a number is in its fingerprint."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from analysis.detectors import get
from analysis.lineage.benchmark import Benchmark
from analysis.lineage.ingredients import score_target, statistic_target
from analysis.lineage.learning_set import learning_set_of
from analysis.statistics.statistic import FIT, VALIDATION
from featurestore.layout import head_input
from featurestore.layout.manifest import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from analysis.detectors import Detector

BENCHMARK = Benchmark("main", "train", "test", ("far",), "val")
ACTIVATIONS = {name: Part({}, f"activations of {name}", {}, ()) for name in ("train", "val", "test", "far")}
LEARNS = get("react.openood")


def extracted_again(name: str) -> Mapping[str, Part]:
    return {**ACTIVATIONS, name: replace(ACTIVATIONS[name], fingerprint="another")}


def normalizing() -> Mapping[str, Part]:
    unit = head_input.ingredients(normalizes=True)
    return {name: replace(part, ingredients=unit) for name, part in ACTIVATIONS.items()}


def fingerprint(
    detector: Detector[Any] = LEARNS,
    activations: Mapping[str, Part] = ACTIVATIONS,
    benchmark: Benchmark = BENCHMARK,
    dataset: str = "far",
) -> str:
    return score_target(benchmark, "m", dataset, detector, activations).fingerprint


def with_need(**change: Any) -> Detector[Any]:
    (need,) = LEARNS.statistics
    return replace(LEARNS, needs=(replace(need, **change),))


CHANGES: dict[str, Callable[[], str]] = {
    "the detector's version": lambda: fingerprint(replace(LEARNS, version=99)),
    "its hyperparameters": lambda: fingerprint(LEARNS.with_values(quantile=0.5)),
    "a statistic's version": lambda: fingerprint(with_need(version=99)),
    "a statistic's name": lambda: fingerprint(with_need(name="another")),
    "what a statistic comes after": lambda: fingerprint(with_need(after=(get("temp-scaling").statistics[0],))),
    "what it learns from": lambda: fingerprint(with_need(source=FIT)),
    "the activations": lambda: fingerprint(activations=extracted_again("far")),
    "the ID activations": lambda: fingerprint(activations=extracted_again("test")),
    "the activations it is tuned on": lambda: fingerprint(activations=extracted_again("val")),
    "the dataset it is tuned on": lambda: fingerprint(benchmark=replace(BENCHMARK, val="far")),
    "a tenth that it is tuned on": lambda: fingerprint(benchmark=replace(BENCHMARK, val=None)),
    "the benchmark": lambda: fingerprint(benchmark=replace(BENCHMARK, name="other")),
    "the dataset": lambda: fingerprint(dataset="test"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_scores_name_all_that_determines_them(what: str) -> None:
    """Detectors, statistics, activations, benchmark: what changes makes other scores."""
    assert CHANGES[what]() != fingerprint()
    assert len({change() for change in CHANGES.values()}) == len(CHANGES)


def test_a_detector_that_learns_nothing_is_named_as_well() -> None:
    """Its version and its hyperparameters are all that it has."""
    gen = get("gen")
    changed = [replace(gen, version=99), gen.with_values(gamma=0.5), gen]
    assert len({fingerprint(detector) for detector in changed}) == 3


def test_scores_do_not_depend_on_what_they_do_not_read() -> None:
    """Neither on the fit dataset, where a detector is tuned on validation data alone, nor on other OOD sets."""
    assert fingerprint(activations=extracted_again("train")) == fingerprint()
    assert fingerprint(benchmark=replace(BENCHMARK, oods=("far", "near"))) == fingerprint()


def test_a_tenth_and_the_whole_are_different_statistics() -> None:
    """Of one dataset, that is: the ID test set, which is somebody's validation data elsewhere."""
    tenth = learning_set_of(replace(BENCHMARK, val=None), VALIDATION, ACTIVATIONS)
    whole = learning_set_of(replace(BENCHMARK, val="test"), VALIDATION, ACTIVATIONS)
    assert tenth
    assert whole
    assert (tenth.dataset, tenth.tenth, whole.dataset, whole.tenth) == ("test", True, "test", False)
    (need,) = LEARNS.statistics
    assert statistic_target("m", tenth, need).fingerprint != statistic_target("m", whole, need).fingerprint


def test_fingerprints_are_those_of_stored_lakes() -> None:
    """What older lakes hold stays current: a change of these is a decision, and makes everybody score again."""
    assert fingerprint()[:12] == "4c85656ca3a0"
    assert fingerprint(get("vim"), normalizing())[:12] == "f0dcb723aaf2"
