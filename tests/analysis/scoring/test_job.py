"""What may be asked of the scoring job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analysis.scoring import Means, ScoringSelection, score
from analysis.scoring.job import _Remarks
from featurestore.errors import InputError, MissingError
from tests.analysis.synthetic import write_datasets, write_model

if TYPE_CHECKING:
    from featurestore import Lake


def test_names_that_are_not_there_are_refused(lake: Lake) -> None:
    """Models, detectors, datasets and benchmarks, with the nearest that there is; before anything is scored."""
    write_datasets(lake)
    write_model(lake, "vit")
    asked = {
        "vit'": ScoringSelection(models=["vt"]),
        "msp'": ScoringSelection(detectors=["mps"]),
        "test'": ScoringSelection(datasets=["tset"]),
        "main'": ScoringSelection(benchmark="mian"),
    }
    for nearest, selection in asked.items():
        with pytest.raises(MissingError, match=f"did you mean '{nearest}"):
            score(lake, selection, lambda _: None)
    assert not lake.partitions("scores")


def test_only_what_was_asked_for_is_scored(lake: Lake) -> None:
    """And the ID test set, whose scores the ranks of all others refer to."""
    write_datasets(lake)
    write_model(lake, "a")
    write_model(lake, "b")
    done = score(lake, ScoringSelection(["a"], ["msp"], ["far"]), lambda _: None)
    assert (done.scored, done.reused, done.skipped) == (2, 0, 0)
    assert {(m.key["model"], m.key["dataset"]) for m in lake.partitions("scores")} == {("a", "test"), ("a", "far")}
    done = score(lake, ScoringSelection(detectors=["msp"]), lambda _: None)
    assert (done.scored, done.reused, done.skipped) == (2, 2, 0)


def test_without_activations_on_the_id_test_set_there_is_nothing_to_score(lake: Lake) -> None:
    """The model is passed over, which is said; that nothing is left is an error."""
    write_datasets(lake)
    write_model(lake, "a", {"far": ("ood", 40)})
    lines: list[str] = []
    with pytest.raises(MissingError, match="nothing to score yet"):
        score(lake, ScoringSelection(), lines.append)
    digests, skipped = lines
    assert digests.startswith("3 of 3 datasets have no digests yet (far, test, train)")
    assert skipped == "a: skipped, it has no activations on the ID test dataset test"


def test_what_is_to_be_said_of_many_models_is_said_twice_at_most(lake: Lake) -> None:
    """Of the first at once, and of the others in a line at the end."""
    write_datasets(lake)
    for name in ("a", "b", "c", "d", "e"):
        write_model(lake, name)
    lines: list[str] = []
    score(lake, ScoringSelection(detectors=["residual"]), lines.append)
    remarks = [line for line in lines if "residual takes" in line]
    remark = remarks[0].removeprefix("a: ")
    assert remarks == [f"a: {remark}", f"4 models (b, c, d, …), too: {remark}"]


def test_what_is_said_of_no_model_is_said_each_time() -> None:
    lines: list[str] = []
    remarks = _Remarks(lines.append)
    for model in ("a", "b"):
        remarks.of(model)("far is left out")
    remarks.say_repeated()
    assert lines == ["far is left out"] * 2


def test_too_little_memory_is_refused() -> None:
    """Before a sweep fails in it."""
    Means(memory=64_000_000)
    with pytest.raises(InputError, match="too little to fit detectors in"):
        Means(memory=63_999_999)
