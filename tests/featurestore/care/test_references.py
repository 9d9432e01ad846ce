"""What parts name and the lake does not hold: told by `verify`, and survived by `status` and `ask`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.lakes import put_rows
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing
from tests.analysis.synthetic import write_datasets, write_model
from tests.conftest import faults

if TYPE_CHECKING:
    from featurestore import Lake
    from tests.conftest import Run

KEYS = {
    "models": {"model": "m"},
    "datasets": {"dataset": "far"},
    "activations": {"model": "m", "dataset": "far"},
    "id activations": {"model": "m", "dataset": "test"},
}
SAID = {
    "models": "the lake has no row of the model m: extract it again, or `featurestore model remove m`",
    "datasets": "the lake has no dataset far: add it again, or `featurestore dataset remove far`",
    "activations": "the activations of m on far, which it is made from, are gone: nothing can be told of its age",
    "id activations": "the activations of m on test, which they are judged by, are gone",
    "two id sets": "it has 2 id datasets, other, test: remove one, or give it another benchmark or role",
    "two fit sets": "it has 2 fit datasets, other, train: remove one",
    "other samples": "it is of other samples than far has now: run `featurestore extract --replace --dataset far`",
}


@pytest.fixture
def scored(lake: Lake) -> Lake:
    from analysis.scoring import ScoringSelection, score

    write_datasets(lake)
    for name, (role, digest) in {"train": ("fit", "train"), "test": ("id", "test"), "far": ("ood", "far")}.items():
        describe(lake, name, role, digest)
    write_model(lake, "m")
    write_model(lake, "n")
    score(lake, ScoringSelection(detectors=["msp", "mahalanobis"]), lambda _: None)
    return lake


def describe(lake: Lake, name: str, role: str, digest: str) -> None:
    """A dataset's row with ingredients as `dataset add` writes them."""
    row = {"role": role, "benchmarks": ["main"], "samples": 40, "classes": 2, "digest": digest}
    more = {"format": "folder", "location": "/gone"}
    put_rows(lake, "datasets", {"dataset": name}, row | more, ingredients=row, replacing=True)


@pytest.mark.once
@pytest.mark.parametrize("state", SAID)
def test_each_state_is_told_and_survived(scored: Lake, state: str, run: Run) -> None:
    """One sentence each, and no command that reads the lake breaks on it."""
    assert faults(scored) == []
    if state in KEYS:
        table = TABLES[state.rpartition(" ")[2]]
        assert writing.drop(scored.storage, table, KEYS[state], lambda _: True)
    elif state == "other samples":
        describe(scored, "far", "ood", "another")
    else:
        describe(scored, "other", state.split()[1], "other")
        put_rows(scored, "samples", {"dataset": "other"}, {"sample": 0, "path": "a", "bytes": 1})
    found = faults(scored)
    assert any(SAID[state] in line for line in found), found
    for command in (
        ("status",),
        ("ask", "best_detector"),
        ("ask", "hardest_samples", "--param", "ood=far"),
        ("score",),
    ):
        code, _, err = run(*command, "--lake", scored.location)
        assert code in {0, 1, 3}, err
        assert "Traceback" not in err
        assert code != 1 or err.startswith("Error: "), err
        assert code != 1 or command == ("score",), err
