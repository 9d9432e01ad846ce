from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from benchmarks.lakes import put, put_rows
from featurestore import ConflictError, InputError, Lake
from featurestore.layout.judged_scores import scores_digest
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing
from featurestore.transfer import copy, merge
from tests.conftest import faults
from tests.featurestore.transfer.conftest import files, parts
from tests.featurestore.transfer.verb_jobs import change_row
from tests.s3.server import environment, new_lake, real_lake, use

if TYPE_CHECKING:
    from tests.conftest import Run

FAR = {"model": "vit-b16", "dataset": "far"}


def merged(theirs: Lake, ours: Lake, *, dry_run: bool = False) -> list[str]:
    """What was said."""
    said: list[str] = []
    merge(theirs.storage, ours.storage, say=said.append, dry_run=dry_run)
    return said


def refused(theirs: Lake, ours: Lake) -> list[str]:
    """What was said before a merge was refused, which wrote nothing."""
    said: list[str] = []
    before = files(ours)
    with pytest.raises(ConflictError, match=r"disagree with .*ours .*nothing was merged"):
        merge(theirs.storage, ours.storage, say=said.append)
    assert files(ours) == before
    return said


def test_the_parts_of_a_lake_make_the_whole(source: Lake, ours: Lake, theirs: Lake) -> None:
    said = merged(theirs, ours)
    assert parts(ours.storage) == parts(source.storage)
    assert faults(ours) == []
    assert said[-1].startswith(f"{ours.location}: 16 partitions")
    before = files(ours)
    assert merged(theirs, ours)[-1].startswith(f"{ours.location}: 0 partitions, 0 fragments, 0 B merged; 46 partitions")
    assert files(ours) == before


def test_scores_of_other_detectors_come_beside_those_that_are_there(ours: Lake, theirs: Lake) -> None:
    """The metrics that they make stale stay, and are told."""
    key = {"benchmark": "main", **FAR}
    held = {part.key["detector"] for part in ours.partitions("scores", **key)[0].parts}
    writing.drop(ours.storage, TABLES["scores"], key, lambda part: part.key["detector"] == "msp")
    writing.drop(theirs.storage, TABLES["scores"], key, lambda part: part.key["detector"] != "msp")
    own = {"scores of far": "those without msp"}
    put_rows(
        ours, "metrics", {"benchmark": "main", "model": "vit-b16"}, {"fpr95": 0.5}, ingredients=own, replacing=True
    )
    metrics = ours.partitions("metrics", model="vit-b16")
    put_rows(theirs, "metrics", {"benchmark": "main", "model": "vit-b16"}, {"fpr95": 0.5}, replacing=True)
    said = merged(theirs, ours)
    assert {part.key["detector"] for part in ours.partitions("scores", **key)[0].parts} == held
    assert ours.partitions("metrics", model="vit-b16") == metrics
    assert (
        "metrics of 1 models do not rest on all scores that there are now: `featurestore score` makes them again"
        in said
    )


def test_metrics_that_rest_on_all_scores_are_not_called_stale(ours: Lake, theirs: Lake) -> None:
    """Whether they were there, or come with what was missing of the scores."""
    of = {"benchmark": "main", "model": "vit-b16"}
    known = dict.fromkeys(("far", "test", "unit-tests"), "")
    for name in known:
        (manifest,) = theirs.partitions("scores", **of, dataset=name)
        known[name] = scores_digest({part.key["detector"]: part.fingerprint for part in manifest.parts})
    ingredients = {f"scores of {name}": digest for name, digest in known.items()}
    put_rows(theirs, "metrics", of, {"fpr95": 0.5}, ingredients=ingredients, replacing=True)
    writing.drop(ours.storage, TABLES["metrics"], of, lambda _: True)
    writing.drop(ours.storage, TABLES["scores"], {**of, "dataset": "far"}, lambda _: True)
    assert not [line for line in merged(theirs, ours, dry_run=True) if line.startswith("metrics of")]
    put_rows(theirs, "metrics", of, {"fpr95": 0.5}, ingredients={**ingredients, "scores of far": "x"}, replacing=True)
    stale = [line for line in merged(theirs, ours, dry_run=True) if line.startswith("metrics of")]
    assert stale == [
        "metrics of 1 models do not rest on all scores that there are now: `featurestore score` makes them again"
    ]


def test_disagreements_are_listed_by_ingredient(ours: Lake, theirs: Lake) -> None:
    """Those from which others follow come first."""
    put_rows(
        theirs, "accuracy", {"model": "vit-b16", "dataset": "test"}, {"n": 3}, ingredients={"seed": 1}, replacing=True
    )
    ingredients = dict(theirs.part("models", model="vit-b16")[1].ingredients)
    put_rows(
        theirs, "models", FAR, {"weight_decay": 7.0}, ingredients={**ingredients, "weight_decay": 7.0}, replacing=True
    )
    said = refused(theirs, ours)
    assert said[0] == (
        f"models (model vit-b16): weight_decay (in {ours.location}: not there, in {theirs.location}: 7.0)"
    ) or said[0].endswith(f"in {theirs.location}: 7.0)")
    assert said[1].startswith("accuracy (model vit-b16, dataset test): ")
    assert len(said) == 2


def test_a_dataset_of_both_takes_part_in_the_benchmarks_of_both(ours: Lake, theirs: Lake) -> None:
    """Its images stay where the lake has them, and nobody has looked at these."""
    said_of = {"benchmarks": ["hard", "main"], "ood_group": "far", "seen_classes": '{"in21k": ["owl"]}'}
    change_row(theirs, "far", location="/elsewhere", **said_of)
    writing.drop(ours.storage, TABLES["contents"], {"dataset": "far"}, lambda _: True)
    row = ours.scan("datasets", dataset="far").collect().to_dicts()[0]
    said = merged(theirs, ours)
    assert ours.scan("datasets", dataset="far").collect().to_dicts() == [{**row, **said_of}]
    assert said[:4] == [
        "dataset far takes part in benchmark hard too",
        f"dataset far is of the group far, as in {theirs.location} says",
        f"dataset far has classes that a pretraining has seen, as in {theirs.location} says",
        f"dataset far: its images stay at {row['location']} (in {theirs.location}: /elsewhere)",
    ]
    assert ours.part("contents", dataset="far")[1].details["looked_at"] == 0
    assert len(merged(theirs, ours)) == 2
    assert faults(ours) == []


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"digest": "e" * 64}, r"datasets \(dataset far\): digest \(in .*, in .*: eeeeeeeeeeee…\)"),
        ({"role": "csid"}, r"datasets \(dataset far\): role \(in .*: ood, in .*: csid\)"),
        ({"ood_group": "near"}, r"datasets \(dataset far\): ood_group \(in .*: far, in .*: near\)"),
        ({"seen_classes": "{}"}, r'datasets \(dataset far\): seen_classes \(in .*: \{"in21k": \[\]\}, in .*: \{\}\)'),
    ],
)
def test_datasets_of_one_name_are_one(ours: Lake, theirs: Lake, values: dict[str, str], line: str) -> None:
    change_row(ours, "far", ood_group="far", seen_classes='{"in21k": []}')
    change_row(theirs, "far", **values)
    (said,) = refused(theirs, ours)
    assert re.fullmatch(line, said)


@pytest.mark.parametrize("role", ["fit", "id"])
def test_a_benchmark_has_one_fit_and_one_id_dataset(ours: Lake, theirs: Lake, role: str) -> None:
    name = {"fit": "train", "id": "test"}[role]
    other = {**theirs.read("datasets", dataset=name).to_pylist()[0]}
    rows = theirs.read("samples", dataset=name)
    for lake, benchmark in ((theirs, "main"), (ours, "other")):
        put(
            lake,
            "datasets",
            {"dataset": "new"},
            pa.Table.from_pylist([{**other, "benchmarks": [benchmark]}], TABLES["datasets"].columns),
        )
        put(lake, "samples", {"dataset": "new"}, rows)
    change_row(theirs, name, benchmarks=["other"])
    said = refused(theirs, ours)
    assert said == [
        f"benchmark main has two {role} datasets: in {ours.location}: {name}; in {theirs.location}: new",
        f"benchmark other has two {role} datasets: in {ours.location}: new; in {theirs.location}: {name}",
    ]


@pytest.mark.parametrize("who", ["ours", "theirs"])
def test_a_benchmark_of_both_is_set_alike(ours: Lake, theirs: Lake, who: str) -> None:
    """What nobody set is the default, and no wish that the other lake might have."""
    setting, main, lakes = {"without_overlaps": True}, {"benchmark": "main"}, {"ours": ours, "theirs": theirs}
    writing.drop(lakes.pop(who).storage, TABLES["benchmarks"], main, lambda _: True)
    (other,) = lakes.values()
    put_rows(other, "benchmarks", main, setting, ingredients=setting, replacing=True)
    (line,) = refused(theirs, ours)
    values = ("not there", "true") if who == "ours" else ("true", "not there")
    assert line == (
        f"benchmarks (benchmark main): without_overlaps (in {ours.location}: {values[0]}, in {theirs.location}: {values[1]})"
    )
    setting = {"without_overlaps": False}
    put_rows(other, "benchmarks", main, setting, ingredients=setting, replacing=True)
    merged(theirs, ours)
    assert faults(ours) == []


def test_a_benchmark_takes_a_dataset_that_judges_it(ours: Lake, theirs: Lake) -> None:
    change_row(ours, "train", benchmarks=[])
    said = merged(theirs, ours)
    assert said[1].startswith(
        f"benchmark main had no fit dataset in {ours.location}, and has train now: what was scored"
    )


def test_labels_that_contradict_each_other_are_not_brought_together(ours: Lake, theirs: Lake) -> None:
    """The fit dataset of the one, and the ID dataset of the other."""
    for lake, name in ((ours, "train"), (theirs, "test")):
        change_row(lake, name, benchmarks=["new"])
    change_row(theirs, "train", benchmarks=["old"])
    change_row(ours, "test", benchmarks=["old"], digest="f" * 64)
    change_row(theirs, "test", digest="f" * 64)
    assert not [line for line in merged(theirs, ours, dry_run=True) if "has label" in line]
    for lake in (ours, theirs):
        rows = lake.read("samples", dataset="test")
        labels = pa.array([2 - label for label in rows["label"].to_pylist()])
        changed = rows.set_column(rows.column_names.index("label"), rows.field("label"), labels)
        put(lake, "samples", {"dataset": "test"}, changed, {"digest": "other"}, replacing=True)
    said = refused(theirs, ours)
    assert said[0].startswith("benchmark new, datasets train and test: class ")
    assert " has label 0 in the one, and 2 in the other" in said[0]


def test_a_benchmark_does_not_judge_the_same_samples_in_two_roles(ours: Lake, theirs: Lake) -> None:
    change_row(ours, "far", benchmarks=["main"], ood_group="far")
    row = theirs.read("datasets", dataset="far").to_pylist()[0] | {"ood_group": "near"}
    put(theirs, "datasets", {"dataset": "again"}, pa.Table.from_pylist([row], TABLES["datasets"].columns), row)
    change_row(theirs, "far", benchmarks=["other"])
    assert refused(theirs, ours) == [
        "benchmark main, datasets far and again: the same samples are ood far in the one, and ood near in the other"
    ]


def test_activations_of_another_network_are_not_brought_together(ours: Lake, theirs: Lake) -> None:
    _, part = theirs.part("activations", **FAR)
    writing.drop(ours.storage, TABLES["activations"], FAR, lambda _: True)
    rows = theirs.read("activations", **FAR)
    put(theirs, "activations", FAR, rows, {**part.ingredients, "compute": "other"}, replacing=True)
    (line,) = refused(theirs, ours)
    assert line.startswith("activations of vit-b16 on ")
    assert line.endswith(f"compute (in {ours.location}: not there, in {theirs.location}: other)")


@pytest.mark.parametrize("state", [{"without": "0" * 64}, {"edition": 2}])
def test_activations_that_lack_unreadable_images_are_of_the_same_network(
    ours: Lake, theirs: Lake, state: dict[str, str | int]
) -> None:
    _, part = theirs.part("activations", **FAR)
    writing.drop(ours.storage, TABLES["activations"], FAR, lambda _: True)
    put(theirs, "activations", FAR, theirs.read("activations", **FAR), {**part.ingredients, **state}, replacing=True)
    merged(theirs, ours)
    assert ours.part("activations", **FAR)[1].ingredients == {**part.ingredients, **state}


def test_questions_come_and_settings_stay(ours: Lake, theirs: Lake) -> None:
    theirs.storage.put("featurestore.toml", b"")
    theirs.storage.put("questions/theirs.sql", b"theirs")
    assert "questions/theirs.sql merged" in merged(theirs, ours)
    assert ours.storage.get("questions/theirs.sql") == b"theirs"
    assert ours.storage.size("featurestore.toml") is None
    theirs.storage.put("questions/theirs.sql", b"changed")
    assert refused(theirs, ours) == ["questions/theirs.sql: the two files differ"]


def test_a_dry_run_says_it_all_and_does_nothing(ours: Lake, theirs: Lake) -> None:
    before = files(ours)
    said = merged(theirs, ours, dry_run=True)
    assert files(ours) == before
    assert [line.replace("would be merged", "merged") for line in said] == merged(theirs, ours)


def test_a_lake_is_not_merged_into_itself(ours: Lake) -> None:
    with pytest.raises(InputError, match="is the lake itself"):
        merged(ours, Lake(f"{ours.location}/."))


def test_the_command_merges_from_a_bucket_and_into_one(
    source: Lake, ours: Lake, theirs: Lake, run: Run, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, environment(endpoint))
    assert _there_and_back(ours, theirs, run, new_lake(endpoint)) == [parts(source.storage)] * 2


@pytest.mark.s3
def test_the_command_merges_from_a_real_bucket_and_into_one(
    source: Lake, ours: Lake, theirs: Lake, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _there_and_back(ours, theirs, run, real_lake(monkeypatch)) == [parts(source.storage)] * 2


def _there_and_back(ours: Lake, theirs: Lake, run: Run, bucket: str) -> list[dict[str, object]]:
    """What is there then, in the bucket and in the lake that takes it from there."""
    code, _, err = run("merge", theirs.location, "--lake", bucket)
    assert (code, err.count("\n")) == (1, 1)
    assert "There is no lake at" in err
    copy(ours.storage, Lake(bucket).storage, say=lambda _: None)
    assert run("merge", theirs.location, "--lake", bucket)[0] == 0
    code, _, err = run("merge", bucket, "--lake", ours.location)
    assert (code, err) == (0, "")
    assert faults(ours) == []
    return [parts(Lake(bucket).storage), parts(ours.storage)]


def test_what_detectors_are_said_to_be_never_disagrees(ours: Lake, theirs: Lake) -> None:
    """One's own description stays, and those of other detectors come; a folder's `=` is that of the column alone."""
    for lake, version in ((ours, 1), (theirs, 2)):
        made = {"detector_version": version, "hyperparameters": []}
        put_rows(lake, "detectors", {"detector": "vim"}, {"title": f"of version {version}"}, ingredients=made)
    put_rows(theirs, "detectors", {"detector": "knn@k=5"}, {"title": "KNN"})
    merged(theirs, ours)
    rows = ours.sql("select detector, title from detectors order by detector").fetchall()
    assert rows == [("knn@k=5", "KNN"), ("msp", "MSP"), ("vim", "of version 1")]
    assert faults(ours) == []
