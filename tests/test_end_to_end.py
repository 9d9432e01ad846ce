"""The product as a user meets it: commands in order, answers, and a sentence for each mistake."""

from __future__ import annotations

import csv
import ctypes
import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from analysis.detectors.registry import default_detectors
from analysis.fits import read_arrays

from .pipeline import KWARGS, Commands, make_lake, write_images, write_pool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from featurestore import Lake


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished lake's folder, made once."""
    return tmp_path_factory.mktemp("pipeline")


@pytest.fixture
def commands(made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    commands = Commands(made, capsys, monkeypatch)
    if not (made / "done").exists():
        make_lake(commands)
        (made / "done").touch()
    return commands


@pytest.fixture
def fresh(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    return Commands(tmp_path, capsys, monkeypatch)


def scored(commands: Commands, model: str) -> list[str]:
    """The detectors that a model has scores of: all, but those that a random network may leave without a correct sample."""
    query = f"select distinct detector from scores where model = '{model}' order by 1"
    found = [detector for (detector,) in commands.lake.sql(query).fetchall()]
    assert {detector.name for detector in default_detectors()} - {"openmax", "she"} <= set(found)
    return found


def test_the_headline_question_has_one_row_per_model_and_detector(commands: Commands) -> None:
    rows = list(csv.DictReader(io.StringIO(commands.ok("ask", "accuracy_vs_unit_test_fpr", "--format", "csv"))))
    assert sorted((row["model"], row["detector"]) for row in rows) == sorted(
        (m, d) for m in "ab" for d in scored(commands, m)
    )
    assert all(0 <= float(row["mean_fpr95"]) <= 1 and row["unit_tests"] == "2" for row in rows)


def test_sql_and_every_question_answer_in_every_format(commands: Commands) -> None:
    query = "select detector, avg(fpr95) as mean from metrics group by 1 order by 1"
    table = json.loads(commands.ok("sql", query, "--format", "json"))
    assert [row["detector"] for row in table] == sorted({*scored(commands, "a"), *scored(commands, "b")})
    assert "| detector | mean |" in commands.ok("sql", query, "--format", "markdown")
    for question in commands.lake.questions():
        for format_ in ("table", "csv", "json", "markdown"):
            assert commands.ok("ask", question, "--format", format_)
        assert question in commands.ok("ask")
        assert "SQL" in commands.ok("ask", question, "--explain")


def test_metrics_agree_with_the_scores_that_they_come_from(commands: Commands) -> None:
    """AUROC is one minus the mean id_rank of the OOD samples, from SQL alone."""
    rows = commands.lake.sql("""
        select abs(m.auroc - (select 1 - avg(s.id_rank) from scores s
                              where s.model = m.model and s.detector = m.detector and s.dataset = m.ood_dataset))
        from metrics m where aggregation = 'pooled'
    """).fetchall()
    assert len(rows) == 2 * (len(scored(commands, "a")) + len(scored(commands, "b")))
    assert max(difference for (difference,) in rows) < 1e-12


def test_stored_metrics_follow_from_scores_in_sql(commands: Commands) -> None:
    """fpr_at 95 % and auroc, per class and on aggregates, are what was stored, for every model and detector."""
    rows = commands.lake.sql("""
        select f.fpr - m.fpr95, a.auroc - m.auroc
        from metrics as m
        inner join fpr_at(null, null, null, 0.95) as f using (model, detector, ood_dataset, aggregation)
        inner join auroc(null, null, null) as a using (model, detector, ood_dataset, aggregation)
        where m.ood_class is not distinct from f.ood_class and m.ood_class is not distinct from a.ood_class
    """).fetchall()
    assert len(rows) == commands.lake.sql("select count(*) from metrics").fetchall()[0][0]
    assert np.abs(rows).max() < 1e-12


def test_accuracy_is_the_share_of_largest_logits_at_the_label(commands: Commands) -> None:
    for model in "ab":
        hits = [
            logits.argmax(axis=1) == label
            for label, logits in commands.lake.batches(model=model, dataset="test", columns=("label", "logits"))
        ]
        (row,) = commands.lake.read("accuracy", model=model, dataset="test").to_pylist()
        assert row == {"n": 36, "top1": pytest.approx(np.concatenate(hits).mean()), "top5": 1.0}


def features_of(lake: Lake, model: str, dataset: str) -> np.ndarray:
    return lake.scan("activations", model=model, dataset=dataset).collect()["feature"].to_numpy().astype(np.float64)


@pytest.mark.parametrize("model", ["a", "b"])
def test_geometry_is_that_of_the_stored_activations(commands: Commands, model: str) -> None:
    """Every measure that `score` wrote, from the features themselves by numpy's own covariance, norms and eigenvalues."""
    rows = {row["dataset"]: row for row in commands.lake.sql("from geometry").pl().to_dicts() if row["model"] == model}
    assert {name: (row["role"], row["rows"], row["fit_dataset"]) for name, row in rows.items()} == {
        "train": ("fit", 90, "train"), "test": ("id", 36, "train"), "far": ("ood", 17, "train"),
        "unit-tests": ("ood", 8, "train"),
    }  # fmt: skip
    train = features_of(commands.lake, model, "train")
    labels = commands.lake.scan("activations", model=model, dataset="train").collect()["label"].to_numpy()
    means = np.stack([train[labels == c].mean(axis=0) for c in range(3)])
    norms = np.linalg.norm(train, axis=1)
    mean_norms = np.array([norms[labels == c].mean() for c in range(3)])
    within, between, total = (np.cov(x.T, bias=True) for x in (train - means[labels], means[labels], train))
    centred = means - means.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=1)
    cosines = (centred @ centred.T / np.outer(lengths, lengths))[np.triu_indices(3, 1)]
    head = commands.lake.read("heads", model=model)
    weight = np.stack(head.column("weight").to_numpy()).astype(np.float64)
    weight -= weight.mean(axis=0)
    expected = {
        "norm_mean": norms.mean(),
        "norm_sd": norms.std(),
        "norm_sd_within": np.sqrt(((norms - mean_norms[labels]) ** 2).mean()),
        "norm_sd_between": mean_norms.std(),
        "scatter_within": np.trace(within),
        "scatter_between": np.trace(between),
        "scatter_ratio": np.trace(between) / np.trace(within),
        "nc1": np.trace(within @ np.linalg.pinv(between, rcond=1e-10, hermitian=True)) / 3,
        "nc2_norms": lengths.std() / lengths.mean(),
        "nc2_angles": np.abs(cosines + 1 / 2).mean(),
        "nc3": np.linalg.norm(weight / np.linalg.norm(weight) - centred / np.linalg.norm(centred)),
        "class_cosine_mean": cosines.mean(),
        "class_cosine_sd": cosines.std(),
    }
    for name, matrix in {"within": within, "between": between, "total": total}.items():
        values = np.linalg.eigvalsh(matrix)
        share = values[values > 1e-10 * values[-1]] / values.sum()
        expected[f"effective_rank_{name}"] = np.exp(-(share * np.log(share)).sum())
        expected[f"participation_{name}"] = 1 / (share**2).sum()
    values, vectors = np.linalg.eigh(within)
    varies = values > 1e-10 * values[-1]
    # The sum over the weights of the last LayerNorm is one number for all samples, but for rounding.
    assert varies.sum() == len(values) - 1
    along = (train - means[labels]) @ vectors[:, varies]
    kurtosis = (along**4).mean(axis=0) / (along**2).mean(axis=0) ** 2 - 3
    explained = np.cumsum(np.linalg.eigvalsh(total)[::-1]) / np.trace(total)
    dim = int((explained < 0.95).sum()) + 1
    expected |= {
        "rank_within": varies.sum(),
        "condition_within": values[-1] / values[varies][0],
        "kurtosis_within": np.abs(kurtosis).mean(),
        "principal_dim": dim,
        "energy_outside": 1 - explained[dim - 1],
    }
    assert set(expected) == rows["train"].keys() - {"model", "dataset", "fit_dataset", "role", "rows"}
    for name, value in expected.items():
        assert rows["train"][name] == pytest.approx(value, rel=1e-5), name
    axes = np.linalg.eigh(total)[1][:, ::-1][:, dim:]
    for dataset in ("test", "far", "unit-tests"):
        features = features_of(commands.lake, model, dataset)
        apart = features - train.mean(axis=0)
        found = rows[dataset]
        assert found["norm_mean"] == pytest.approx(np.linalg.norm(features, axis=1).mean())
        assert found["norm_sd"] == pytest.approx(np.linalg.norm(features, axis=1).std())
        assert found["energy_outside"] == pytest.approx(((apart @ axes) ** 2).sum() / (apart**2).sum(), rel=1e-6)
        assert found["nc1"] is None


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
    commands.ok("report", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "accuracy-vs-fpr" in page
    assert "src=" not in page.partition("<body>")[0]
    assert '<figure class="gallery"' in page
    assert page.count("data:image/jpeg;base64,") == 12 + 8, "the hardest of both OOD sets, read from their folders"
    said = commands.ok("report", tmp_path / "new" / "report.html", "--figures", tmp_path / "figures")
    assert "figures as PNG, SVG and CSV" in said
    assert (tmp_path / "new" / "report.html").stat().st_size > 0
    assert (tmp_path / "figures" / "unit-test-heatmap.png").stat().st_size > 0
    (tmp_path / "file").touch()
    assert "Cannot write" in commands.refused("report", tmp_path / "file" / "report.html")


def test_pictures_that_are_gone_leave_the_table_and_a_reason(commands: Commands, tmp_path: Path) -> None:
    (commands.folder / "far").rename(commands.folder / "away")
    try:
        commands.ok("report", tmp_path / "report.html")
    finally:
        (commands.folder / "away").rename(commands.folder / "far")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 8
    assert "Pictures of 12 of the 20 hardest OOD samples: their files cannot be read" in page


def test_a_new_detector_run_adds_to_what_is_there(fresh: Commands) -> None:
    """Scoring in two steps ends where scoring in one does."""
    write_images(fresh.folder / "test", {"ant": 6, "bee": 6, "cat": 6})
    write_images(fresh.folder / "far", {"dog": 5})
    fresh.ok("dataset", "add", "test", fresh.folder / "test", "--role", "id")
    fresh.ok("dataset", "add", "far", fresh.folder / "far", "--role", "ood")
    pool = write_pool(fresh.folder / "models", {"a": 1})
    fresh.ok("extract", "--pool", pool, "--dataset", "test", "--dataset", "far")
    fresh.ok("score", "--detector", "msp")
    count = "select count(distinct detector) from metrics"
    assert fresh.lake.sql(count).fetchall() == [(1,)]
    fresh.ok("score", "--detector", "energy")
    assert fresh.lake.sql(count).fetchall() == [(2,)]
    assert "need activations on the fit dataset" in fresh.ok("score")


def test_float16_takes_half_the_room_and_what_its_rounding_hides_is_left_out(fresh: Commands) -> None:
    """Features behind a LayerNorm do not vary along one direction; what float16 makes of that is not divided by."""
    folder = write_images(fresh.folder / "train", {"ant": 20, "bee": 20, "cat": 20})
    fresh.ok("dataset", "add", "train", folder, "--role", "fit")
    fresh.ok("dataset", "add", "test", write_images(fresh.folder / "test", {"ant": 6, "bee": 6}), "--role", "id")
    pool = write_pool(fresh.folder / "models", {"a": 1})
    sizes = {}
    for dtype in ("float32", "float16"):
        fresh.ok("extract", "--pool", pool, "--dataset", "train", "--dataset", "test", "--dtype", dtype, "--replace")
        feature = fresh.lake.scan("activations", model="a", dataset="train").collect()["feature"].to_numpy()
        assert feature.dtype == dtype
        sizes[dtype] = feature.nbytes
        assert f"rank {feature.shape[1] - 1} of {feature.shape[1]}" in fresh.ok("score", "--detector", "mahalanobis")
        (rank,) = read_arrays(fresh.lake, "a", "train", "mahalanobis")["rank"].ravel()
        assert rank == feature.shape[1] - 1
    assert np.linalg.eigvalsh(np.cov(feature.astype(float).T))[0] > 1e-10
    assert sizes["float16"] * 2 == sizes["float32"]


def test_another_model_leaves_what_is_there_untouched(fresh: Commands) -> None:
    """Neither fits, scores nor metrics of the first model are written again, or read as anything but cache hits."""
    write_images(fresh.folder / "test", {"ant": 6, "bee": 6, "cat": 6})
    write_images(fresh.folder / "far", {"dog": 5})
    fresh.ok("dataset", "add", "test", fresh.folder / "test", "--role", "id")
    fresh.ok("dataset", "add", "far", fresh.folder / "far", "--role", "ood")
    extract = ["--dataset", "test", "--dataset", "far"]
    fresh.ok("extract", "--pool", write_pool(fresh.folder / "models", {"a": 1}), *extract)
    fresh.ok("score")
    before = {path: path.stat().st_mtime_ns for path in fresh.location.rglob("*model=a/**/*") if path.is_file()}
    fresh.ok("extract", "--pool", write_pool(fresh.folder / "more", {"c": 3}), *extract)
    assert "a in main: 0 score partitions made" in fresh.ok("score")
    after = {path: path.stat().st_mtime_ns for path in fresh.location.rglob("*model=a/**/*") if path.is_file()}
    assert before == after
    assert any("metrics" in path.parts for path in before)
    assert fresh.lake.sql("select distinct model from metrics order by 1").fetchall() == [("a",), ("c",)]


def test_a_detector_that_cannot_learn_is_left_out(fresh: Commands) -> None:
    """The others are scored, and it is an error only where it was asked for by name; none of it is stored."""
    classes = {"ant": 1, "bee": 1, "cat": 1}
    for name, role in {"train": "fit", "test": "id", "far": "ood"}.items():
        fresh.ok("dataset", "add", name, write_images(fresh.folder / name, classes), "--role", role)
    pool = write_pool(fresh.folder / "models", {"a": 1})
    fresh.ok("extract", "--pool", pool, "--dataset", "train", "--dataset", "test", "--dataset", "far")
    assert "fewer than two distinct distances" in fresh.refused("score", "--detector", "msp", "--detector", "openmax")
    said = fresh.ok("score")
    assert "a: without openmax: Fitting openmax of a: Class 0 has fewer than two" in said
    stored = {detector for (detector,) in fresh.lake.sql("select distinct detector from scores").fetchall()}
    assert {"msp", "react", "temp-scaling"} <= stored
    assert not {"openmax", "mahalanobis"} & stored  # one sample per class varies in no direction, either


def test_replaced_weights_make_scores_stale_and_score_makes_them_again(fresh: Commands) -> None:
    make_lake(fresh)
    before = fresh.lake.sql("select * from scores where model = 'a' order by all").fetchall()
    shapes = {
        m: fresh.lake.sql(f"select * from geometry where model = '{m}' order by dataset").fetchall() for m in "ab"
    }
    kept = fresh.lake.sql("select * from scores where model = 'b' order by all").fetchall()
    write_pool(fresh.folder / "models", {"a": 7})
    extract = ["extract", "--pool", fresh.folder / "models" / "pool.csv"]
    assert "weights_sha256" in fresh.refused(*extract, "--dataset", "test")
    fresh.ok(*extract, "--dataset", "test", "--replace")
    assert "extract the older ones again" in fresh.refused("score")
    fresh.ok(*extract, "--replace", *(text for name in ("train", "far", "unit-tests") for text in ("--dataset", name)))
    assert f" {3 * len(scored(fresh, 'b'))} cache hits" in fresh.ok("score")
    assert fresh.lake.sql("select * from scores where model = 'a' order by all").fetchall() != before
    assert fresh.lake.sql("select * from scores where model = 'b' order by all").fetchall() == kept
    again = {m: fresh.lake.sql(f"select * from geometry where model = '{m}' order by dataset").fetchall() for m in "ab"}
    assert again["b"] == shapes["b"]
    assert [row[:5] for row in again["a"]] == [row[:5] for row in shapes["a"]]
    assert all(new[5] != old[5] for new, old in zip(again["a"], shapes["a"], strict=True)), "another norm_mean"


def test_broken_images_exit_with_3_and_the_rest_is_scored(fresh: Commands) -> None:
    write_images(fresh.folder / "test", {"ant": 4, "bee": 4, "cat": 4})
    (fresh.folder / "test" / "bee" / "000.png").write_bytes(b"\x89PNG")
    fresh.ok("dataset", "add", "test", fresh.folder / "test", "--role", "id")
    pool = write_pool(fresh.folder / "models", {"a": 1})
    for _ in range(2):
        outcome = fresh("extract", "--pool", pool, "--dataset", "test")
        assert outcome.code == 3
        assert "from failures" in outcome.err
    fresh.ok("score", "--detector", "msp")
    assert fresh.lake.sql("select sample, path from failures").fetchall() == [(4, "bee/000.png")]
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


def test_nan_in_stored_features_is_an_error_that_names_the_sample(fresh: Commands) -> None:
    """A lake that something else wrote to is not trusted."""
    make_lake(fresh)
    import hashlib

    import pyarrow as pa
    import pyarrow.parquet as pq

    (manifest,) = fresh.lake.partitions("activations", model="a", dataset="far")
    folder = fresh.location / "activations" / "model=a" / "dataset=far"
    fragment = folder / manifest.parts[0].fragments[0].path
    rows = pq.read_table(fragment)
    values = rows.column("feature").combine_chunks().flatten().to_numpy().copy()
    values[5 * KWARGS["embed_dim"]] = np.nan
    feature = pa.FixedSizeListArray.from_arrays(pa.array(values), type=rows.schema.field("feature").type)
    pq.write_table(rows.set_column(2, rows.schema.field("feature"), feature), fragment)
    text = (folder / "_manifest.1.json").read_text()
    old = manifest.parts[0].fragments[0]
    text = text.replace(f'"bytes": {old.bytes}', f'"bytes": {fragment.stat().st_size}')
    text = text.replace(old.sha256, hashlib.sha256(fragment.read_bytes()).hexdigest())
    # Another fingerprint, so that its scores count as stale.
    (folder / "_manifest.1.json").write_text(text.replace(manifest.parts[0].fingerprint, "0" * 64))
    assert "feature of sample 5 of far by a is NaN" in fresh.refused("score")


def test_a_lake_of_a_newer_format_is_not_guessed_at(fresh: Commands) -> None:
    write_images(fresh.folder / "test", {"ant": 2})
    fresh.ok("dataset", "add", "test", fresh.folder / "test", "--role", "id")
    for manifest in fresh.location.rglob("_manifest.1.json"):
        manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 2'))
    assert "upgrade featurestore" in fresh.refused("sql", "from datasets")
    assert "upgrade featurestore" in fresh.refused("dataset", "add", "test", fresh.folder / "test", "--role", "id")


def _obey_permissions() -> None:
    """Give up root's right to write anywhere, where this is root."""
    drop_from_bounding_set, dac_override = 24, 1
    ctypes.CDLL(None).prctl(drop_from_bounding_set, dac_override, 0, 0, 0)


@pytest.fixture
def read_only(fresh: Commands) -> Iterator[Commands]:
    write_images(fresh.folder / "test", {"ant": 2})
    fresh.ok("dataset", "add", "test", fresh.folder / "test", "--role", "id")
    folders = [path for path in (fresh.location, *fresh.location.rglob("*")) if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    yield fresh
    for folder in folders:
        folder.chmod(0o755)


def test_a_read_only_lake_is_read_and_a_write_is_one_sentence(read_only: Commands) -> None:
    add = ["dataset", "add", "other", str(read_only.folder / "test"), "--role", "ood"]
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


def test_ten_lines_of_numpy_reproduce_mahalanobis_and_its_fpr95(commands: Commands) -> None:
    lake = commands.lake

    def features(dataset: str) -> np.ndarray:
        return lake.scan("activations", model="a", dataset=dataset).collect()["feature"].to_numpy().astype(np.float64)

    labels = lake.scan("activations", model="a", dataset="train").collect()["label"].to_numpy()
    train = features("train")
    means = np.stack([train[labels == c].mean(axis=0) for c in range(3)])
    values, vectors = np.linalg.eigh(np.cov((train - means[labels]).T, bias=True))
    # The sum over the weights of the last LayerNorm is one number for all samples, but for rounding.
    kept = values > 1e-10 * values[-1]
    precision = vectors[:, kept] / values[kept] @ vectors[:, kept].T
    scores = {
        name: -np.min([np.einsum("nd,de,ne->n", h - m, precision, h - m) for m in means], axis=0)
        for name in ("test", "far")
        for h in [features(name)]
    }
    fpr95 = np.mean(scores["far"] >= np.quantile(scores["test"], 0.05))

    for name, own in scores.items():
        held = lake.scan("scores", model="a", dataset=name, detector="mahalanobis").collect()["score"].to_numpy()
        np.testing.assert_allclose(held, own, rtol=1e-7)
    pooled = lake.scan("metrics", model="a").filter(
        pl.col("detector") == "mahalanobis", pl.col("ood_dataset") == "far", pl.col("aggregation") == "pooled"
    )
    assert pooled.collect()["fpr95"].item() == fpr95
