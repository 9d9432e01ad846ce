"""Removing: nothing is left that names what is gone, and what stays is what `score` would make without it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import faults
from tests.featurestore.edit.conftest import dangling, fingerprints, mentions

if TYPE_CHECKING:
    from featurestore import Lake
    from tests.pipeline import Commands


def files(lake: Lake) -> set[str]:
    return {path.as_posix() for path in Path(lake.location).rglob("*") if path.is_file()}


def sound(commands: Commands, gone: str) -> None:
    """After a removal the lake is valid, names nothing that is gone, and `score` finds nothing to do."""
    lake = commands.lake
    assert faults(lake) == []
    assert dangling(lake) == []
    assert mentions(lake, gone) == []
    assert ", 0 stale," in commands.ok("status")


@pytest.fixture
def ensembled(copied: Commands) -> Commands:
    """The lake of the pipeline, with an ensemble, and one whose weights an OOD dataset chose."""
    copied.ok("score", "--ensemble", "mean=a/msp,b/msp")
    both = "tuned=a/mahalanobis,b/mahalanobis"
    copied.ok("score", "--ensemble", both, "--combine", "weighted", "--tune-on", "unit-tests")
    return copied


def test_an_ood_dataset_goes_and_the_metrics_are_those_that_score_would_make(ensembled: Commands) -> None:
    commands = ensembled
    tables = "metrics", "selective", "oscr"
    rows = "from {} where {} <> 'far' order by all"
    before = [
        commands.lake.sql(rows.format(table, "ood_dataset" if table != "selective" else "model")).fetchall()
        for table in tables
    ]
    said = commands.ok("dataset", "remove", "far")
    assert "far: metrics: 4 partitions rewritten\n" in said
    assert "far: selective: 4 partitions rewritten\n" in said
    assert "far: activations: 2 partitions removed: 34 rows, " in said
    assert [commands.lake.sql(f"from {table} order by all").fetchall() for table in tables] == before
    assert all(before)
    sound(commands, "far")
    held = fingerprints(commands.lake), [manifest.path for manifest in commands.lake.partitions("metrics")]
    assert "0 score partitions made" in commands.ok("score")
    assert (fingerprints(commands.lake), [manifest.path for manifest in commands.lake.partitions("metrics")]) == held
    assert "There is no dataset 'far'" in commands.refused("dataset", "remove", "far")


def test_what_was_learned_from_a_fit_dataset_goes_with_it(copied: Commands) -> None:
    """Scores on logits alone stay; what was fitted on it goes from the other datasets, too."""
    copied.ok("dataset", "remove", "train")
    sound(copied, "train")
    held = copied.lake.sql("select distinct detector from scores").fetchall()
    assert ("msp",) in held
    assert ("mahalanobis",) not in held
    assert sorted(copied.lake.sql("select distinct detector from metrics").fetchall()) == sorted(held)
    assert copied.lake.sql("from geometry").fetchall() == []
    kept = fingerprints(copied.lake, "metrics", "scores")
    copied.ok("score")
    assert kept.items() <= fingerprints(copied.lake, "metrics", "scores").items()


def test_without_the_id_dataset_nothing_is_judged(copied: Commands) -> None:
    copied.ok("dataset", "remove", "test")
    assert copied.lake.sql("select (select count(*) from metrics) + (select count(*) from scores)").fetchall() == [(0,)]
    assert faults(copied.lake) == dangling(copied.lake) == mentions(copied.lake, "test") == []


def test_a_model_goes_with_the_ensembles_that_it_is_a_member_of(ensembled: Commands) -> None:
    others = {name: value for name, value in fingerprints(ensembled.lake).items() if "model b" in name}
    said = ensembled.ok("model", "remove", "a")
    assert "a: ensembles that are made from it go, too: mean, tuned\n" in said
    sound(ensembled, "a")
    assert {m.key["model"] for m in ensembled.lake.partitions("models")} == {"b"}
    assert others.items() <= fingerprints(ensembled.lake).items()


def test_the_dataset_that_chose_weights_takes_the_ensemble_along(ensembled: Commands) -> None:
    said = ensembled.ok("dataset", "remove", "unit-tests")
    assert "unit-tests: ensembles that are made from it go, too: tuned\n" in said
    sound(ensembled, "unit-tests")
    assert {m.key["model"] for m in ensembled.lake.partitions("models")} == {"a", "b", "mean"}


def test_a_detector_goes_with_its_rows_of_metrics_and_the_statistics_that_nothing_else_needs(copied: Commands) -> None:
    held = fingerprints(copied.lake)
    copied.ok("detector", "remove", "vim")
    sound(copied, "vim")
    left = fingerprints(copied.lake)
    row = "detectors (detector vim) {}"  # which constants it had
    rest = held.keys() - left.keys() - {row}
    assert {name.rpartition(" ")[2] for name in rest} == {"'vim'}", "'residual-scale-ninco'}"}
    assert row in held.keys() - left.keys()
    gone = [name for name in held if name not in left]
    assert {name.partition(" ")[0] for name in gone} == {"detectors", "fits", "scores"}
    assert "There is no detector 'vim'" in copied.refused("detector", "remove", "vim")


def test_a_benchmark_goes_and_its_datasets_stay(copied: Commands) -> None:
    activations = fingerprints(copied.lake, "activations", "fits", "geometry")
    copied.ok("benchmark", "remove", "main")
    assert faults(copied.lake) == dangling(copied.lake) == mentions(copied.lake, "main") == []
    assert fingerprints(copied.lake, "activations", "fits", "geometry") == activations
    assert copied.lake.sql("select distinct benchmarks from datasets").fetchall() == [([],)]


def test_stale_metrics_that_name_what_goes_are_withdrawn(copied: Commands) -> None:
    """Nobody knows which scores they were computed from, so they cannot be told from those of what is left."""
    copied.ok("score", "--detector", "vra.authors", "--model", "a")
    newest = copied.lake.partitions("metrics", model="a")[0]
    Path(copied.lake.storage.uri(newest.path)).unlink()  # as if killed before the metrics
    said = copied.ok("dataset", "remove", "far")
    assert "far: stale metrics (benchmark main, model a) go whole: run `featurestore score`\n" in said
    assert mentions(copied.lake, "far") == []
    copied.ok("score")
    sound(copied, "far")


def test_a_dry_run_says_the_same_and_does_nothing(copied: Commands) -> None:
    before = files(copied.lake)
    for words in (("dataset", "far"), ("model", "a"), ("detector", "msp"), ("benchmark", "main")):
        command = (words[0], "remove", words[1])
        planned = copied.ok(*command, "--dry-run")
        assert files(copied.lake) == before
        assert "would free" in planned
    done = copied.ok("benchmark", "remove", "main")
    assert planned.replace("would free", "frees") == done


def test_gc_frees_what_was_removed(copied: Commands) -> None:
    copied.ok("dataset", "remove", "far")
    assert files(copied.lake) >= {path for path in files(copied.lake) if "dataset=far" in path} != set()
    copied.ok("gc", "--older-than", "0s")
    copied.ok("gc", "--older-than", "0s")
    assert [path for path in files(copied.lake) if "dataset=far" in path] == []
    sound(copied, "far")


def test_a_dataset_that_was_removed_can_be_added_again(copied: Commands, made: Path) -> None:
    before = fingerprints(copied.lake)
    shutil.copytree(made / "far", copied.folder / "far")
    copied.ok("dataset", "remove", "far")
    copied.ok("dataset", "add", "far", copied.folder / "far", "--role", "ood")
    assert copied.extract({"a": 1, "b": 2}, "far").code == 0
    copied.ok("score")
    after = fingerprints(copied.lake)
    rows = "datasets (dataset far) {}"  # it lies elsewhere
    assert {name: value for name, value in after.items() if name != rows} == {
        name: value for name, value in before.items() if name != rows
    }


@pytest.mark.parametrize("words", [("dataset", "No!"), ("model", "A"), ("detector", ""), ("benchmark", "x/y")])
def test_a_name_that_can_be_none_is_refused(copied: Commands, words: tuple[str, str]) -> None:
    assert "takes only" in copied.refused(words[0], "remove", words[1])
