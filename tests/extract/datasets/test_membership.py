"""A dataset's part changes without extraction, and is held to what `dataset add` checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.layout.tables import TABLES
from tests.tiny import write_images

if TYPE_CHECKING:
    from featurestore import Lake
    from tests.pipeline import Commands


def fingerprints(lake: Lake, *without: str) -> dict[str, str]:
    return {
        f"{manifest.title} {dict(part.key)}": part.fingerprint
        for table in TABLES.keys() - set(without)
        for manifest in lake.partitions(table)
        for part in manifest.parts
    }


def detectors_of(lake: Lake, dataset: str) -> set[str]:
    return {part.key["detector"] for of in lake.partitions("scores", dataset=dataset) for part in of.parts}


def test_a_group_and_one_more_benchmark_change_the_row_alone(copied: Commands) -> None:
    held = fingerprints(copied.lake, "datasets")
    said = copied.ok("dataset", "set", "far", "--group", "near", "--benchmark", "other")
    assert said.startswith("far: role ood, group near, in main, other\n")
    assert fingerprints(copied.lake, "datasets") == held
    query = "select role, ood_group, benchmarks, samples from datasets where dataset = 'far'"
    assert copied.lake.sql(query).fetchall() == [("ood", "near", ["main", "other"], 17)]
    copied.ok("dataset", "set", "far", "--group", "")
    assert copied.lake.sql(query).fetchall()[0][1] is None
    assert "nothing to do" in copied.ok("dataset", "set", "far", "--benchmark", "main")
    assert ", 0 stale," in copied.ok("status")


def test_leaving_a_benchmark_and_coming_back_is_no_change(copied: Commands) -> None:
    """Scores there go, and metrics are without its rows; activations stay, and `score` makes the same again."""
    held = fingerprints(copied.lake)
    rest = copied.lake.sql("from metrics where ood_dataset <> 'far' order by all").fetchall()
    copied.ok("dataset", "set", "far", "--leave", "main")
    assert detectors_of(copied.lake, "far") == set()
    assert copied.lake.sql("from metrics order by all").fetchall() == rest
    assert "0 score partitions made" in copied.ok("score")
    copied.ok("verify", "--deep")
    copied.ok("dataset", "set", "far", "--benchmark", "main")
    copied.ok("score")
    assert fingerprints(copied.lake) == held


def test_what_was_learned_from_a_fit_set_leaves_with_it(copied: Commands) -> None:
    held = fingerprints(copied.lake)
    copied.ok("dataset", "set", "train", "--leave", "main")
    assert "mahalanobis" not in detectors_of(copied.lake, "far") | detectors_of(copied.lake, "test")
    assert "msp" in detectors_of(copied.lake, "far")
    assert copied.lake.partitions("fits")
    copied.ok("dataset", "set", "train", "--benchmark", "main")
    copied.ok("score")
    assert fingerprints(copied.lake) == held


def test_a_role_changes_without_extraction_and_back(copied: Commands) -> None:
    held = fingerprints(copied.lake)
    said = copied.ok("dataset", "set", "test", "--role", "csid", "--dry-run")
    assert "would have the role csid" in said
    assert fingerprints(copied.lake) == held
    copied.ok("dataset", "set", "test", "--role", "csid")
    assert copied.lake.sql("select (select count(*) from scores) + (select count(*) from metrics)").fetchall() == [(0,)]
    assert "no fault" in copied.ok("verify", "--deep")
    copied.ok("dataset", "set", "test", "--role", "id")
    copied.ok("score")
    assert fingerprints(copied.lake) == held


def test_what_add_refuses_is_refused(copied: Commands) -> None:
    held = fingerprints(copied.lake)
    assert "cannot change from ood to id" in copied.refused("dataset", "set", "far", "--role", "id")
    assert "cannot change from id to ood" in copied.refused("dataset", "set", "test", "--role", "ood")
    assert "already has the fit dataset 'train'" in copied.refused("dataset", "set", "test", "--role", "fit")
    assert "no role 'fot': did you mean 'fit'" in copied.refused("dataset", "set", "test", "--role", "fot")
    assert "--group near is for OOD datasets" in copied.refused("dataset", "set", "test", "--group", "near")
    assert "no benchmark of far 'mian': did you mean 'main'" in copied.refused(
        "dataset", "set", "far", "--leave", "mian"
    )
    assert "takes only" in copied.refused("dataset", "set", "far", "--benchmark", "A B")
    assert "did you mean 'far'" in copied.refused("dataset", "set", "fra", "--group", "x")
    assert "Say what to change" in copied.refused("dataset", "set", "far")
    assert fingerprints(copied.lake) == held


def test_classes_are_compared_where_a_benchmark_is_joined(copied: Commands) -> None:
    images = write_images(copied.folder / "birds", {"tit": 3, "owl": 3}, seed=9)
    copied.ok("dataset", "add", "birds", images, "--role", "val", "--benchmark", "aviary")
    assert "is in dataset" in copied.refused("dataset", "set", "birds", "--benchmark", "main")
