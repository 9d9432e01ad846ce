"""What answers say of what they rest on, through a history of replaced images, weights and ID test sets."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING

import pytest

from benchmarks.lakes import put_rows
from featurestore import StaleWarning
from featurestore.held import AGEING, OF_SAMPLES, Held, complaints
from tests.long import shortened
from tests.tiny import write_images

if TYPE_CHECKING:
    from featurestore import Lake
    from tests.pipeline import Commands


@pytest.fixture
def scored(fresh: Commands) -> Commands:
    fresh.add("train", "fit", {"ant": 8, "bee": 8, "cat": 8})
    fresh.add("test", "id", {"ant": 6, "bee": 6, "cat": 6}, seed=1)
    fresh.add("far", "ood", {"dog": 9, "elk": 8}, seed=2)
    assert fresh.extract({"a": 1, "b": 2}, "train", "test", "far").code == 0
    fresh.ok("score", "--detector", "msp", "--detector", "mahalanobis")
    return fresh


def told(commands: Commands, *tables: str) -> list[str]:
    return complaints(Held(commands.lake.storage), tables or AGEING, without=OF_SAMPLES)


def forget(commands: Commands) -> None:
    """Take all notes out of the manifests: a lake of an earlier version."""
    for file in commands.location.rglob("_manifest.*.json"):
        document = json.loads(file.read_bytes())
        del document["checksum"]
        for part in document["parts"]:
            part["details"].pop("basis", None)
        file.write_text(json.dumps(document))


@pytest.mark.parametrize("older", shortened([False, True]))
def test_what_was_replaced_is_told_with_what_to_run(scored: Commands, older: bool) -> None:
    """Also of parts from before there were notes; and once it is made again, nothing is told."""
    if older:
        forget(scored)
    assert told(scored) == []
    images = write_images(scored.folder / "other", {"auk": 9, "dog": 3, "elk": 5}, 7)
    scored.ok("dataset", "add", "far", images, "--role", "ood", "--replace")
    again = "run `featurestore extract --replace --dataset far`, then `featurestore score`."
    models = "2 of 2 models have"
    assert told(scored, "metrics") == [f"{models} metrics of other samples than far has now (a, b): {again}"]
    assert told(scored, "accuracy") == []
    assert told(scored, "scores") == [
        f"{models} scores of other samples than far has now (a, b), and are left out of the scores: {again}"
    ]
    asked = scored("ask", "hardest_samples", "--param", "ood=far", "--format", "csv")
    assert asked.code == 0
    assert asked.out.count("\n") == 1, "scores of other images have no names to be joined with"
    assert asked.err.startswith(f"Note: {models} scores of other samples than far has now (a, b), and are left out")
    for command in (("ask", "best_detector"), ("sql", "from metrics"), ("report", scored.folder / "report.html")):
        assert "Not answered, because of --strict: 2 of 2 models have" in scored.refused(*command, "--strict")
    assert "No metrics are left to report: 2 of 2 models have" in scored("report", scored.folder / "r.html").err
    scored.extract({"a": 1, "b": 2}, "far", options=("--replace",))
    why = "from older activations" if older else "of other samples than far has now"
    assert told(scored, "metrics") == [f"{models} metrics {why} (a, b): run `featurestore score`."]
    scored.ok("score", "--detector", "msp", "--detector", "mahalanobis")
    assert told(scored) == []
    assert scored.ok("ask", "hardest_samples", "--param", "ood=far", "--format", "csv").count("\n") == 18
    assert scored("ask", "best_detector", "--strict").err == ""


@pytest.mark.parametrize("older", [False, True])
def test_other_weights_are_told_of(scored: Commands, older: bool) -> None:
    """First that the model is half extracted, then that its scores are old; of a model that is not asked of, nothing."""
    if older:
        forget(scored)
    scored.extract({"a": 5}, "test", options=("--replace",))
    (said,) = told(scored, "metrics")
    assert told(scored, "accuracy") == [said.replace("metrics", "accuracy")], "that on train is of the other network"
    assert scored("sql", "from accuracy", "--format", "csv").err == f"Note: {said.replace('metrics', 'accuracy')}\n"
    assert said == (
        "1 of 2 models have metrics from older activations (a): "
        "run `featurestore extract --replace` on all their datasets, then `featurestore score`."
    )
    scored.extract({"a": 5}, "train", "far", options=("--replace",))
    (said,) = told(scored, "metrics")
    assert said == "1 of 2 models have metrics from older activations (a): run `featurestore score`."
    assert told(scored, "accuracy") == []
    with pytest.warns(StaleWarning, match="1 of 2 models have metrics from older"):
        scored.lake.sql("from metrics")
    with pytest.warns(StaleWarning, match="left out of the scores"):
        scored.lake.ask("detector_agreement")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scored.lake.sql("from models")
    assert scored("ask", "best_detector", "--model", "b").err == ""
    with pytest.warns(StaleWarning, match="left out"):
        left = scored.lake.current().scan("scores").select("model").unique().collect()
    assert left["model"].to_list() == ["b"]
    assert {m.key["model"] for m in scored.lake.current().partitions("metrics")} == {"b"}
    scored.ok("report", scored.folder / "report.html")
    page = (scored.folder / "report.html").read_text()
    told_of = "scores and metrics and selective prediction and geometry and calibration"
    said = f"1 of 2 models have {told_of} from older activations (a), and are left out"
    assert said in page
    scored.ok("score", "--detector", "msp", "--detector", "mahalanobis")
    assert told(scored) == []


def test_fewer_samples_than_the_dataset_has_are_counted(scored: Commands) -> None:
    """An image that could not be read has no score."""
    images = write_images(scored.folder / "near", {"fox": 5}, 9)
    (images / "fox" / "003.png").write_bytes(b"\x89PNG no image")
    scored.ok("dataset", "add", "near", images, "--role", "ood")
    assert scored.extract({"a": 1}, "near").code == 3
    scored.ok("score", "--model", "a", "--detector", "msp")
    asked = scored("sql", "from metrics")
    assert asked.code == 0
    listed = '`featurestore sql "from failures"` lists the others.'
    assert asked.err == f"Note: metrics of model a rest on 4 of 5 samples of near: {listed}\n"
    scored.extract({"b": 2}, "near")
    scored.ok("score", "--detector", "msp")
    (said,) = told(scored, "metrics")
    assert said == f"metrics of 2 of 2 models rest on fewer than the 5 samples of near (a 4, b 4): {listed}"


def test_views_never_mix_two_id_sets_of_a_benchmark(lake: Lake) -> None:
    """The benchmark's counts, else that of the most models; the others are left out, with a count."""
    for model, id_dataset in {"a": "old", "b": "new", "c": "new"}.items():
        row = {"detector": "msp", "id_dataset": id_dataset, "ood_dataset": "far", "aggregation": "pooled"}
        key = {"benchmark": "main", "model": model}
        put_rows(lake, "metrics", key, row, ingredients={"version": 1, "id_dataset": id_dataset})

    def judged() -> list[tuple[object, ...]]:
        with pytest.warns(StaleWarning, match="judged against another ID test set than") as caught:
            rows = lake.sql("select model, id_dataset from metrics order by 1").fetchall()
        assert "left out of the metrics" in str(caught[0].message)
        return rows

    assert judged() == [("b", "new"), ("c", "new")]
    for name in ("old", "new"):
        put_rows(
            lake, "datasets", {"dataset": name}, {"role": "id"}, ingredients={"role": "id", "benchmarks": ["main"]}
        )
    assert judged() == [("b", "new"), ("c", "new")]
    put_rows(
        lake,
        "datasets",
        {"dataset": "new"},
        {"role": "ood"},
        ingredients={"role": "ood", "benchmarks": ["main"]},
        replacing=True,
    )
    assert judged() == [("a", "old")]


def test_the_look_reads_the_manifests_of_few_tables(scored: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all is fresh, those of datasets and models, and of what the answer reads; of activations, those of stale datasets."""
    read: set[str] = set()
    activations: set[str] = set()
    held = Held(scored.lake.storage)
    get = type(held.storage).get

    def noting(self: object, key: str) -> bytes:
        read.add(key.partition("/")[0])
        activations.update({key.split("/")[2]} if key.startswith("activations/") else ())
        return get(self, key)  # type: ignore[arg-type]

    monkeypatch.setattr(type(held.storage), "get", noting)
    assert complaints(held, {"metrics", "models"}) == []
    assert read == {"datasets", "metrics", "models"}
    lake, other = scored.lake, {"digest": "0" * 64}
    row, told_before = lake.read("datasets", dataset="far").to_pylist()[0], lake.part("datasets", dataset="far")[1]
    ingredients = {**told_before.ingredients, **other}
    put_rows(lake, "datasets", {"dataset": "far"}, row | other, ingredients=ingredients, replacing=True)
    (said,) = complaints(Held(lake.storage), {"metrics", "scores"})
    assert said.startswith("2 of 2 models have scores and metrics of other samples than far has now")
    assert activations == {"dataset=far"}


def test_a_study_notes_what_it_leaves_out(scored: Commands, capsys: pytest.CaptureFixture[str]) -> None:
    from analysis.studies import threshold_explorer
    from analysis.studies.command import run

    scored.extract({"a": 5}, "test", "train", "far", options=("--replace",))
    run(threshold_explorer.data, threshold_explorer.chart, ["--lake", str(scored.location)])
    captured = capsys.readouterr()
    assert (
        "Note: 1 of 2 models have metrics from older activations (a), and are left out of the metrics" in captured.err
    )
    assert captured.out.startswith("shape")
