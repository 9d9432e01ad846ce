"""The product as a user meets it: commands in order, answers, and a sentence for each mistake."""

from __future__ import annotations

import csv
import ctypes
import io
import json
import os
import subprocess
import sys
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from featurestore import StaleWarning
from tests.conftest import alter
from tests.pipeline import Commands, scored, write_pool
from tests.tiny import KWARGS, write_images

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_the_headline_question_has_one_row_per_model_and_detector(commands: Commands) -> None:
    rows = list(csv.DictReader(io.StringIO(commands.ok("ask", "accuracy_vs_unit_test_fpr", "--format", "csv"))))
    assert sorted((row["model"], row["detector"]) for row in rows) == sorted(
        (m, d) for m in "ab" for d in scored(commands, m)
    )
    assert all(0 <= float(row["mean_fpr95"]) <= 1 and row["unit_tests"] == "2" for row in rows)


@pytest.mark.slow
def test_sql_answers_in_every_format_and_every_question_in_one(commands: Commands) -> None:
    query = "select detector, avg(fpr95) as mean from metrics group by 1 order by 1"
    table = json.loads(commands.ok("sql", query, "--format", "json"))
    assert [row["detector"] for row in table] == sorted({*scored(commands, "a"), *scored(commands, "b")})
    assert "| detector | mean |" in commands.ok("sql", query, "--format", "markdown")
    listed = commands.ok("ask")
    for question, format_ in zip(commands.lake.questions(), cycle(("table", "csv", "json", "markdown")), strict=False):
        assert commands.ok("ask", question, "--format", format_)
        assert question in listed
        assert "SQL" in commands.ok("ask", question, "--explain")


def test_geometry_is_verified_kept_and_no_business_of_status(commands: Commands) -> None:
    """`verify --deep` reads it, `gc` finds nothing to delete, and `status` calls nothing stale or missing."""
    assert commands.lake.sql("select count(*) from geometry").fetchall() == [(8,)]
    before = sorted(path for path in commands.location.rglob("*.*"))
    commands.ok("verify", "--deep")
    commands.ok("gc")
    assert sorted(path for path in commands.location.rglob("*.*")) == before
    said = commands.ok("status")
    assert "stale" not in said.replace("0 stale", "")


def test_running_everything_again_makes_nothing(commands: Commands) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in commands.location.rglob("*.*"))
    pool = commands.folder / "models" / "pool.csv"
    assert "0 extracted, 2 cache hits" in commands.ok("extract", "--pool", pool, "--dataset", "test")
    partitions = 3 * (len(scored(commands, "a")) + len(scored(commands, "b")))
    assert f"0 score partitions made, {partitions} cache hits" in commands.ok("score")
    assert sorted((path, path.stat().st_mtime_ns) for path in commands.location.rglob("*.*")) == before


def test_the_report_is_one_file_without_links(commands: Commands, tmp_path: Path) -> None:
    commands.ok("report", tmp_path / "report.html", "--images", commands.folder)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "accuracy-vs-fpr" in page
    assert "src=" not in page.partition("<body>")[0]
    assert '<figure class="gallery"' in page
    assert page.count("data:image/jpeg;base64,") == 12 + 8, "the hardest of both OOD sets, read from their folders"
    said = commands.ok("report", tmp_path / "new" / "report.html", "--figures", tmp_path / "figures")
    assert "data:image/jpeg" not in (tmp_path / "new" / "report.html").read_text(encoding="utf-8"), (
        "nobody said from where"
    )
    assert "figures as PNG, SVG and CSV" in said
    assert (tmp_path / "new" / "report.html").stat().st_size > 0
    assert (tmp_path / "figures" / "unit-test-heatmap.png").stat().st_size > 0
    (tmp_path / "file").touch()
    assert "Cannot write" in commands.refused("report", tmp_path / "file" / "report.html")


def test_pictures_that_are_gone_leave_the_table_and_a_reason(commands: Commands, tmp_path: Path) -> None:
    (commands.folder / "far").rename(commands.folder / "away")
    try:
        commands.ok("report", tmp_path / "report.html", "--images", commands.folder)
    finally:
        (commands.folder / "away").rename(commands.folder / "far")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 8
    assert "Pictures of 12 of the 20 hardest OOD samples: their files cannot be read" in page


def test_a_new_detector_run_adds_to_what_is_there(fresh: Commands) -> None:
    """Scoring in two steps ends where scoring in one does."""
    fresh.add("test", "id", {"ant": 6, "bee": 6, "cat": 6})
    fresh.add("far", "ood", {"dog": 5})
    assert fresh.extract({"a": 1}, "test", "far").code == 0
    fresh.ok("score", "--detector", "msp")
    count = "select count(distinct detector) from metrics"
    assert fresh.lake.sql(count).fetchall() == [(1,)]
    fresh.ok("score", "--detector", "energy")
    assert fresh.lake.sql(count).fetchall() == [(2,)]
    assert "need activations on the fit dataset" in fresh.ok("score")


def test_float16_takes_half_the_room_and_what_its_rounding_hides_is_left_out(fresh: Commands) -> None:
    """Features behind a LayerNorm do not vary along one direction; what float16 makes of that is not divided by."""
    fresh.add("train", "fit", {"ant": 20, "bee": 20, "cat": 20})
    fresh.add("test", "id", {"ant": 6, "bee": 6})
    sizes = {}
    for dtype in ("float32", "float16"):
        assert fresh.extract({"a": 1}, "train", "test", options=("--dtype", dtype, "--replace")).code == 0
        feature = fresh.lake.scan("activations", model="a", dataset="train").collect()["feature"].to_numpy()
        assert feature.dtype == dtype
        sizes[dtype] = feature.nbytes
        assert f"rank {feature.shape[1] - 1} of {feature.shape[1]}" in fresh.ok("score", "--detector", "mahalanobis")
    assert np.linalg.eigvalsh(np.cov(feature.astype(float).T))[0] > 1e-10
    assert sizes["float16"] * 2 == sizes["float32"]


def test_another_model_leaves_what_is_there_untouched(fresh: Commands) -> None:
    """Neither fits, scores nor metrics of the first model are written again, or read as anything but cache hits."""
    fresh.add("test", "id", {"ant": 6, "bee": 6, "cat": 6})
    fresh.add("far", "ood", {"dog": 5})
    assert fresh.extract({"a": 1}, "test", "far").code == 0
    fresh.ok("score")
    before = {path: path.stat().st_mtime_ns for path in fresh.location.rglob("*model=a/**/*") if path.is_file()}
    assert fresh.extract({"c": 3}, "test", "far").code == 0
    assert "a in main: 0 score partitions made" in fresh.ok("score")
    after = {path: path.stat().st_mtime_ns for path in fresh.location.rglob("*model=a/**/*") if path.is_file()}
    assert before == after
    assert any("metrics" in path.parts for path in before)
    assert fresh.lake.sql("select distinct model from metrics order by 1").fetchall() == [("a",), ("c",)]


def test_a_detector_that_cannot_learn_is_left_out(fresh: Commands) -> None:
    """The others are scored, and it is an error only where it was asked for by name; none of it is stored."""
    for name, role in {"train": "fit", "test": "id", "far": "ood"}.items():
        fresh.add(name, role, {"ant": 1, "bee": 1, "cat": 1})
    assert fresh.extract({"a": 1}, "train", "test", "far").code == 0
    assert "fewer than two distinct distances" in fresh.refused("score", "--detector", "msp", "--detector", "openmax")
    said = fresh.ok("score")
    assert "a: without openmax: Fitting openmax of a: Class 0 has fewer than two" in said
    stored = {detector for (detector,) in fresh.lake.sql("select distinct detector from scores").fetchall()}
    assert {"msp", "react", "temp-scaling"} <= stored
    assert not {"openmax", "mahalanobis"} & stored  # one sample per class varies in no direction, either


@pytest.mark.slow
def test_replaced_weights_make_scores_stale_and_score_makes_them_again(copied: Commands) -> None:
    before = copied.lake.sql("select * from scores where model = 'a' order by all").fetchall()
    shapes = {
        m: copied.lake.sql(f"select * from geometry where model = '{m}' order by dataset").fetchall() for m in "ab"
    }
    kept = copied.lake.sql("select * from scores where model = 'b' order by all").fetchall()
    detectors = scored(copied, "b")
    write_pool(copied.folder / "models", {"a": 7})
    extract = ["extract", "--pool", copied.folder / "models" / "pool.csv"]
    assert "weights_sha256" in copied.refused(*extract, "--dataset", "test")
    copied.ok(*extract, "--dataset", "test", "--replace")
    outcome = copied("score")
    assert (outcome.code, "0 score partitions made" in outcome.out) == (3, True)
    assert "a was left out: " in outcome.err
    assert "extract the older ones again" in outcome.err
    copied.ok(*extract, "--replace", *(text for name in ("train", "far", "unit-tests") for text in ("--dataset", name)))
    assert f" {3 * len(detectors)} cache hits" in copied.ok("score")
    assert copied.lake.sql("select * from scores where model = 'a' order by all").fetchall() != before
    assert copied.lake.sql("select * from scores where model = 'b' order by all").fetchall() == kept
    again = {
        m: copied.lake.sql(f"select * from geometry where model = '{m}' order by dataset").fetchall() for m in "ab"
    }
    assert again["b"] == shapes["b"]
    assert [row[:5] for row in again["a"]] == [row[:5] for row in shapes["a"]]
    assert all(new[5] != old[5] for new, old in zip(again["a"], shapes["a"], strict=True)), "another norm_mean"


def test_broken_images_exit_with_3_and_the_rest_is_scored(fresh: Commands) -> None:
    write_images(fresh.folder / "test", {"ant": 4, "bee": 4, "cat": 4})
    (fresh.folder / "test" / "bee" / "000.png").write_bytes(b"\x89PNG")
    fresh.ok("dataset", "add", "test", fresh.folder / "test", "--role", "id")
    for _ in range(2):
        outcome = fresh.extract({"a": 1}, "test")
        assert outcome.code == 3
        assert "from failures" in outcome.err
    fresh.ok("score", "--detector", "msp")
    assert fresh.lake.sql("select sample, path from failures").fetchall() == [(4, "bee/000.png")]
    with pytest.warns(StaleWarning, match="rest on 11 of 12 samples of test"):
        assert fresh.lake.sql("select count(*) from scores").fetchall() == [(11,)]


def test_every_mistake_is_one_sentence_and_changes_nothing(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    pool = commands.folder / "models" / "pool.csv"
    weights = commands.folder / "models" / "a.safetensors"
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(weights.read_bytes())
    before = sorted((path, path.stat().st_mtime_ns) for path in commands.location.rglob("*"))
    mistakes = {
        "There is no folder": ("dataset", "add", "x", tmp_path / "gone", "--role", "ood"),
        "There is no image": ("dataset", "add", "x", tmp_path / "empty", "--role", "ood"),
        "use 'a-b'": ("dataset", "add", "a/b", commands.folder / "far", "--role", "ood"),
        "did you mean 'test'": ("extract", "--pool", pool, "--dataset", "tset"),
        "is not a checkpoint of": ("extract", "--model", copy, "--architecture", "resnet18", "--dataset", "far"),
        "did you mean 'resnet18'": ("extract", "--model", copy, "--architecture", "resnet_18", "--dataset", "far"),
        "did you mean 'mahalanobis'": ("score", "--detector", "mahalanobi"),
        "did you mean 'best_detector'": ("ask", "best_detectors"),
        "did you mean 'benchmark'": ("ask", "best_detector", "--param", "benchmrk=main"),
        "takes a whole number": ("ask", "high_accuracy_failures", "--param", "top=many"),
        "name=value": ("ask", "best_detector", "--param", "benchmark"),
        "DuckDB refuses": ("sql", "select nonsense from metrics"),
        "did you mean 'csv'": ("sql", "select 1", "--format", "cvs"),
        "is a file": ("ask", "best_detector", "--lake", tmp_path / "file"),
        "There is no lake": ("ask", "best_detector", "--lake", tmp_path / "gone"),
        "Name what to extract": ("extract", "--dataset", "test"),
        "--per-kind": ("unit-tests", tmp_path / "out", "--images", commands.folder / "far"),
    }
    for message, arguments in mistakes.items():
        assert message in commands.refused(*arguments)
    assert sorted((path, path.stat().st_mtime_ns) for path in commands.location.rglob("*")) == before
    assert not (tmp_path / "out").exists()


def test_mistyped_commands_exit_with_2(fresh: Commands) -> None:
    assert fresh("extrct").code == 2
    assert fresh("dataset", "add", "x").code == 2
    assert fresh("ask", "--nonsense").code == 2


def test_nan_in_stored_features_is_an_error_that_names_the_sample(copied: Commands) -> None:
    """A lake that something else wrote to is not trusted."""
    import hashlib

    import pyarrow as pa
    import pyarrow.parquet as pq

    (manifest,) = copied.lake.partitions("activations", model="a", dataset="far")
    folder = copied.location / "activations" / "model=a" / "dataset=far"
    fragment = folder / manifest.parts[0].fragments[0].path
    rows = pq.read_table(fragment)
    values = rows.column("feature").combine_chunks().flatten().to_numpy().copy()
    values[5 * KWARGS["embed_dim"]] = np.nan
    feature = pa.FixedSizeListArray.from_arrays(pa.array(values), type=rows.schema.field("feature").type)
    pq.write_table(rows.set_column(2, rows.schema.field("feature"), feature), fragment)
    data = fragment.read_bytes()

    def name(document: dict[str, Any]) -> None:
        (part,) = document["parts"]
        part["fragments"][0].update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        part["fingerprint"] = "0" * 64  # another one, so that its scores count as stale

    alter(folder / "_manifest.1.json", name)
    outcome = copied("score")
    assert (outcome.code, "0 score partitions made" in outcome.out) == (3, True)
    assert "a was left out: The feature of sample 5 of far by a is NaN" in outcome.err


def test_a_lake_of_a_newer_format_is_not_guessed_at(fresh: Commands) -> None:
    fresh.add("test", "id", {"ant": 2})
    for manifest in fresh.location.rglob("_manifest.1.json"):
        alter(manifest, lambda document: document.update(format=2))
    assert "upgrade featurestore" in fresh.refused("sql", "from datasets")
    assert "upgrade featurestore" in fresh.refused("dataset", "add", "test", fresh.folder / "test", "--role", "id")


def _obey_permissions() -> None:
    """Give up root's right to write anywhere, where this is root."""
    drop_from_bounding_set, dac_override = 24, 1
    ctypes.CDLL(None).prctl(drop_from_bounding_set, dac_override, 0, 0, 0)


@pytest.fixture
def read_only(fresh: Commands) -> Iterator[Commands]:
    fresh.add("test", "id", {"ant": 2})
    folders = [path for path in (fresh.location, *fresh.location.rglob("*")) if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    yield fresh
    for folder in folders:
        folder.chmod(0o755)


def test_a_read_only_lake_is_read_and_a_write_is_one_sentence(read_only: Commands) -> None:
    add = ["dataset", "add", "other", str(read_only.folder / "test"), "--role", "ood", "--benchmark", "other"]
    environment = {**os.environ, "FEATURESTORE_LAKE": str(read_only.location)}
    read, write = (
        subprocess.run(
            [sys.executable, "-m", "featurestore", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=_obey_permissions,
        )
        for arguments in (["sql", "select dataset from datasets", "--format", "csv"], add)
    )
    assert read.stdout == "dataset\ntest\n", read.stderr
    assert write.returncode == 1
    assert write.stderr.startswith("Error: Cannot write")
    assert write.stderr.count("\n") == 1
