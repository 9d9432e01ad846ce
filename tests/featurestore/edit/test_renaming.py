"""Renaming: the lake is then as one that was made under the new name."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from featurestore.edit import read_inventory
from featurestore.layout.basis import noted
from tests.conftest import faults
from tests.featurestore.edit.conftest import dangling, fingerprints, mentions
from tests.pipeline import write_pool
from tests.tiny import write_images

if TYPE_CHECKING:
    from featurestore import Lake
    from tests.pipeline import Commands

NAMES = {"dataset": {"train": "im-train", "test": "im-test", "unit-tests": "synthetic"}, "model": {"a": "vit-a"}}
TUNED = "tuned={0}/mahalanobis,b/mahalanobis"


def notes(lake: Lake) -> dict[str, Any]:
    """What parts say that they rest on."""
    return {f"{m.title} {dict(part.key)}": noted(part) for m, part in read_inventory(lake.storage).parts()}


def sound(commands: Commands, gone: str) -> None:
    """After a renaming nothing bears the old name, nothing is stale, and nothing is to be scored."""
    lake = commands.lake
    assert faults(lake) == dangling(lake) == mentions(lake, gone) == []
    assert ", 0 stale, 0 missing" in commands.ok("status")
    assert "0 score partitions made" in commands.ok("score")


def made_afresh(commands: Commands, images: Path) -> None:
    """What the pipeline makes, under other names from the beginning."""
    datasets, model = NAMES["dataset"], NAMES["model"]["a"]
    places = {"far": images / "far", "unit-tests": images / "unit-tests" / "NINCO_OOD_unit_tests"}
    for name, role in {"train": "fit", "test": "id", "far": "ood", "unit-tests": "ood"}.items():
        place = places.get(name, images / name)
        commands.ok("dataset", "add", datasets.get(name, name), place, "--role", role, "--benchmark", "paper")
    pool = write_pool(commands.folder / "models", {model: 1, "b": 2})
    commands.ok("extract", "--pool", pool)
    commands.ok("score")
    both = TUNED.format(model)
    commands.ok("score", "--ensemble", both, "--combine", "weighted", "--tune-on", datasets["unit-tests"])


@pytest.mark.long
def test_a_renamed_lake_is_the_one_that_is_made_under_the_new_names(
    copied: Commands, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All fingerprints are equal, and all rows of metrics."""
    both = TUNED.format("a")
    copied.ok("score", "--ensemble", both, "--combine", "weighted", "--tune-on", "unit-tests")
    for kind, names in NAMES.items():
        for old, new in names.items():
            assert copied.ok(kind, "rename", old, new).endswith(f"{old} is called {new} now\n")
            sound(copied, old)
    copied.ok("benchmark", "rename", "main", "paper")
    sound(copied, "main")
    fresh = type(copied)(tmp_path / "fresh", capsys, monkeypatch)
    fresh.folder.mkdir()
    made_afresh(fresh, made)
    assert fingerprints(copied.lake) == fingerprints(fresh.lake)
    assert notes(copied.lake) == notes(fresh.lake)
    for table in ("metrics", "selective", "oscr", "calibration", "datasets", "scores", "geometry", "accuracy"):
        rows = f"from {table} order by all"
        assert copied.lake.sql(rows).fetchall() == fresh.lake.sql(rows).fetchall()


def test_a_detector_is_renamed_with_its_rows_of_metrics_and_in_ensembles(copied: Commands) -> None:
    copied.ok("score", "--ensemble", "mean=a/msp,b/msp")
    rows = "select * replace (replace(detector, 'msp', 'mine') as detector) from metrics order by all"
    before = copied.lake.sql(rows).fetchall()
    copied.ok("detector", "rename", "msp", "mine")
    lake = copied.lake
    assert faults(lake) == dangling(lake) == mentions(lake, "msp") == []
    assert ", 0 stale, 0 missing" in copied.ok("status")
    assert lake.sql("from metrics order by all").fetchall() == before
    assert "0 score partitions made" in copied.ok("score", "--detector", "energy")
    assert "energy is a detector of its own" in copied.refused("detector", "rename", "mine", "energy")
    assert "is how ensembles are combined" in copied.refused("detector", "rename", "mean-rank", "rank")


def test_the_layers_of_a_model_are_renamed_with_it(copied: Commands) -> None:
    pool = write_pool(copied.folder / "models", {"a": 1})
    copied.ok("extract", "--pool", pool, "--dataset", "far", "--feature", "penultimate,blocks.0")
    copied.ok("model", "rename", "a", "vit-a")
    assert mentions(copied.lake, "a") == mentions(copied.lake, "a@blocks.0") == dangling(copied.lake) == []
    query = "select model, base_model from models order by model"
    assert copied.lake.sql(query).fetchall() == [("b", None), ("vit-a", None), ("vit-a@blocks.0", "vit-a")]
    assert "is a layer" in copied.refused("model", "rename", "vit-a@blocks.0", "x")
    assert "is a layer" in copied.refused("model", "rename", "b", "x@blocks.0")


def test_a_shifted_set_of_the_full_spectrum_is_renamed_in_metrics(copied: Commands) -> None:
    images = write_images(copied.folder / "shifted", {"ant": 5, "bee": 5, "cat": 5}, seed=7)
    copied.ok("dataset", "add", "v2", images, "--role", "csid")
    assert copied.extract({"a": 1, "b": 2}, "v2").code == 0
    copied.ok("score")
    assert copied.lake.sql("select distinct spectrum from spectra order by 1").fetchall() == [("full",), ("standard",)]
    copied.ok("dataset", "rename", "v2", "imagenet-v2")
    sound(copied, "v2")


def test_what_is_set_of_a_benchmark_goes_along(copied: Commands) -> None:
    copied.ok("benchmark", "set", "main", "--without-overlaps")
    copied.ok("score")
    copied.ok("dataset", "set", "far", "--benchmark", "other")
    copied.ok("benchmark", "rename", "main", "paper")
    sound(copied, "main")
    assert [manifest.key["benchmark"] for manifest in copied.lake.partitions("benchmarks")] == ["paper"]
    query = "select benchmarks from datasets order by dataset"
    assert copied.lake.sql(query).fetchall() == [(["other", "paper"],), *[(["paper"],)] * 3]
    copied.ok("benchmark", "remove", "paper")
    assert mentions(copied.lake, "paper") == copied.lake.partitions("benchmarks") == []


def test_a_name_that_something_else_has_is_refused_and_nothing_changes(copied: Commands) -> None:
    copied.ok("dataset", "set", "far", "--leave", "main", "--benchmark", "other")
    copied.ok("detector", "rename", "msp", "mine")
    before = fingerprints(copied.lake)
    for kind, old, new in (
        ("dataset", "far", "test"),
        ("model", "a", "b"),
        ("detector", "max-logit", "mine"),  # of equal ingredients
        ("benchmark", "other", "main"),
    ):
        assert f"already holds another {kind} {new}" in copied.refused(kind, "rename", old, new)
    assert "has that name already" in copied.refused("model", "rename", "a", "a")
    assert "takes only" in copied.refused("model", "rename", "a", "A")
    assert "did you mean 'far'" in copied.refused("dataset", "rename", "fra", "x")
    assert fingerprints(copied.lake) == before


def test_a_dry_run_renames_nothing(copied: Commands) -> None:
    before = {path for path in Path(copied.lake.location).rglob("*") if path.is_file()}
    said = copied.ok("dataset", "rename", "far", "near", "--dry-run")
    assert "far -> near: activations: 2 partitions written under the new name: 34 rows, " in said
    assert "is called" not in said
    assert {path for path in Path(copied.lake.location).rglob("*") if path.is_file()} == before


@pytest.mark.long
def test_files_that_a_removed_namesake_left_are_not_taken_for_those_of_the_renamed(copied: Commands) -> None:
    """A fragment of the same name and fingerprint in other bytes stays, and the manifest says what it is."""
    (manifest,) = copied.lake.partitions("activations", model="a", dataset="far")
    shutil.copytree(copied.location, copied.folder / "aside")
    copied.ok("dataset", "rename", "far", "near")
    (renamed,) = copied.lake.partitions("activations", model="a", dataset="near")
    path = copied.location / next(renamed.files(renamed.parts[0]))[0]
    left = path.relative_to(copied.location)
    data = path.read_bytes()
    shutil.rmtree(copied.location)
    shutil.copytree(copied.folder / "aside", copied.location)
    (copied.location / left).parent.mkdir(parents=True)
    (copied.location / left).write_bytes(data[:100])
    copied.ok("dataset", "rename", "far", "near")
    assert (copied.location / left).read_bytes() == data
    assert manifest.parts[0].rows == renamed.parts[0].rows
    sound(copied, "far")
