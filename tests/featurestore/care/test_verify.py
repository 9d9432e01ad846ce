from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.lakes import activations, put, put_rows
from featurestore import Lake
from featurestore.partitions.encoding import encode, vector_array
from tests import conftest
from tests.conftest import faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Run

    Change = Callable[[pa.Table], pa.Table]
    Spoil = Callable[[Lake], Any]

WIDTH, CLASSES, COUNT, FAILED = 5, 3, 9, 4
PATH = {"benchmark": "main", "model": "m", "dataset": "d", "fit": "statistics"}
IDENTITY = {"weights_sha256": "w"}
SCORES = "scores/benchmark=main/model=m/dataset=d"
ACTIVATIONS = "activations/model=m/dataset=d"


def half(samples: list[int], weight: np.ndarray, bias: np.ndarray) -> pa.Table:
    feature = np.random.default_rng(samples[0]).normal(size=(len(samples), WIDTH)).astype(np.float32)
    return activations(samples, [n % CLASSES for n in samples], feature, feature @ weight.T + bias, "float16")


def put_head(lake: Lake, weights: str, weight: np.ndarray, bias: np.ndarray) -> None:
    rows = np.arange(CLASSES)
    head = {"class": rows, "weight": vector_array("weight", weight, "float32", rows), "bias": bias}
    put(lake, "heads", PATH, pa.table(head), {"weights_sha256": weights}, replacing=True)


def put_samples(lake: Lake, digest: str, count: int) -> None:
    rows = [{"sample": n, "path": f"{n}", "bytes": 1, "label": n % CLASSES, "class_name": "c"} for n in range(count)]
    put_rows(lake, "samples", PATH, *rows, ingredients={"digest": digest}, replacing=True)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    location = tmp_path_factory.mktemp("template") / "lake"
    write_sound(Lake(location))
    return location


@pytest.fixture
def sound(template: Path, tmp_path: Path) -> Lake:
    """One model, one dataset with a broken image, activations in two fragments, two detectors, an all-null column."""
    shutil.copytree(template, tmp_path / "lake")
    return Lake(tmp_path / "lake")


def write_sound(lake: Lake) -> None:
    generator = np.random.default_rng(0)
    weight, bias = generator.normal(size=(CLASSES, WIDTH)).astype(np.float32), np.ones(CLASSES, np.float32)
    dataset = {"role": "id", "benchmarks": ["main"], "samples": COUNT, "classes": CLASSES}
    dataset |= {"digest": "x", "format": "folder", "location": "."}
    put_rows(lake, "datasets", PATH, dataset, ingredients=dataset)
    put_samples(lake, "x", COUNT)
    digests = [{"sample": n, "digest": None if n == FAILED else f"{n:032x}"} for n in range(COUNT)]
    put_rows(lake, "contents", PATH, *digests, ingredients={"dataset_digest": "x"})
    model = {"architecture": "vit", "weight_decay": None, "dropout": 0.1}
    put_rows(lake, "models", PATH, model, ingredients=IDENTITY)
    put_head(lake, "w", weight, bias)
    ingredients = {**IDENTITY, "dataset_digest": "x"}
    put_rows(lake, "failures", PATH, {"sample": FAILED, "path": "4", "error": "truncated"}, ingredients=ingredients)
    halves = [half(samples, weight, bias) for samples in ([0, 1, 2, 3], [5, 6, 7, 8])]
    made = put(lake, "activations", PATH, halves, ingredients)
    scores = {"sample": [0, 1, 2, 3, 5, 6, 7, 8], "score": np.linspace(-1, 1, 8), "id_rank": np.linspace(0, 1, 8)}
    for detector in ("energy", "msp"):
        put(lake, "scores", PATH | {"detector": detector}, scores, {"activations": made.fingerprint})
    put(lake, "fits", PATH, {"array": ["means", "means"], "row": [0, 1], "values": [[1.0, 2.0], [3.0]]}, {"v": 1})


def fragment(lake: Lake, folder: str = ACTIVATIONS, index: int = 0) -> Path:
    return sorted((Path(lake.location) / folder).rglob("*.parquet"))[index]


def alter(lake: Lake, folder: str, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a partition's manifest by hand."""
    conftest.alter(max((Path(lake.location) / folder).glob("_manifest.*.json")), change)


def rewrite(lake: Lake, folder: str, change: Change, index: int = 0) -> None:
    """Change a fragment's rows, and its manifest with it: as a faulty writer would have written them."""
    path = fragment(lake, folder, index)
    rows = change(pq.read_table(path, partitioning=None))
    data = encode(rows).to_pybytes()
    path.write_bytes(data)

    def name(document: dict[str, Any]) -> None:
        for part in document["parts"]:
            for found in part["fragments"]:
                if path.as_posix().endswith(found["path"]):
                    found.update(rows=rows.num_rows, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())

    alter(lake, folder, name)


def with_value(name: str, row: int, value: Any) -> Change:
    """A column with another value in one row; of a vector, in its first element."""

    def change(rows: pa.Table) -> pa.Table:
        index, field = rows.schema.get_field_index(name), rows.schema.field(name)
        column = rows.column(name).combine_chunks()
        if pa.types.is_fixed_size_list(field.type):
            values = column.flatten().to_numpy().copy()
            values[row * field.type.list_size] = value
            return rows.set_column(index, field, pa.FixedSizeListArray.from_arrays(pa.array(values), type=field.type))
        values = column.to_pylist()
        values[row] = value
        return rows.set_column(index, field.with_nullable(True), pa.array(values, field.type))

    return change


def without_row(row: int) -> Change:
    return lambda rows: pa.concat_tables([rows.slice(0, row), rows.slice(row + 1)])


def flip_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def garble_footer(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4] + b"NOPE")


def twice(document: dict[str, Any]) -> None:
    document["parts"][0]["fragments"] *= 2


def narrower(rows: pa.Table) -> pa.Table:
    feature = vector_array("feature", np.ones((rows.num_rows, WIDTH - 1)), "float16", np.arange(rows.num_rows))
    return rows.set_column(2, "feature", feature)


def spoilt(act: Callable[[Path], Any]) -> Spoil:
    return lambda lake: act(fragment(lake))


def altered(change: Callable[[dict[str, Any]], Any]) -> Spoil:
    return lambda lake: alter(lake, ACTIVATIONS, change)


def said(**values: Any) -> Spoil:
    """What the manifest says of the first fragment is another."""
    return altered(lambda document: document["parts"][0]["fragments"][0].update(values))


def rewritten(change: Change, index: int = 0) -> Spoil:
    return lambda lake: rewrite(lake, ACTIVATIONS, change, index)


SHALLOW: dict[str, tuple[Spoil, str]] = {
    "deleted": (spoilt(Path.unlink), "it is missing"),
    "truncated": (spoilt(truncate), "bytes instead of"),
    "no footer": (spoilt(garble_footer), "cannot be read"),
    "rows altered": (said(rows=3), "it has 4 rows instead of 3"),
    "bytes altered": (said(bytes=1), "bytes instead of 1"),
    "named twice": (altered(twice), "2 times"),
    "ingredients altered": (
        altered(lambda document: document["parts"][0]["ingredients"].update(dataset_digest="y")),
        "not that of its ingredients",
    ),
    "outside": (said(path="../x.parquet"), "outside its own partition"),
    "other partition": (altered(lambda document: document["key"].update(model="n")), "moved or altered"),
    "column lost": (rewritten(lambda rows: rows.drop(["label"])), "it has the columns sample, feature"),
    "type": (
        rewritten(lambda rows: rows.set_column(0, "sample", rows["sample"].cast(pa.float64()))),
        "column sample is of the type double",
    ),
    "width": (rewritten(narrower, 1), "its feature is 4 x halffloat, elsewhere 5 x halffloat"),
}
MISSING = "samples of the dataset without the failures are not there"
DEEP: dict[str, tuple[Spoil, str]] = {
    "bit": (spoilt(flip_bit), "its sha256 differs"),
    "sha altered": (said(sha256="0" * 64), "its sha256 differs"),
    "duplicate": (rewritten(with_value("sample", 1, 0)), "sample 0 is there twice"),
    "order": (rewritten(with_value("sample", 0, 2), 1), "sample 2 comes after 3"),
    "nan": (rewritten(with_value("feature", 2, np.nan)), "the feature of sample 2 is NaN"),
    "infinite": (rewritten(with_value("logits", 1, np.inf)), "the logits of sample 1 is NaN or inf"),
    "label": (rewritten(with_value("label", 3, 2)), "sample 3 has the label 2, but 0 in"),
    "no label": (rewritten(with_value("label", 3, None)), "sample 3 has the label none, but 0"),
    "logit": (rewritten(with_value("logits", 3, 9)), "logit 0 of sample 3 is 9, but the head gives"),
    "sample lost": (rewritten(without_row(2)), f"1 {MISSING} (first: 2)"),
    "fragment lost": (altered(lambda document: document["parts"][0]["fragments"].pop()), f"4 {MISSING} (first: 5)"),
    "failed and there": (rewritten(with_value("sample", 0, 4), 1), "1 samples are not of the dataset without"),
    "beyond": (rewritten(with_value("sample", 3, 99), 1), "sample 99 is none of the dataset's 9"),
}
ELSEWHERE: dict[str, tuple[str, Change, str]] = {
    "score lost": (SCORES, without_row(3), "1 samples of the activations are not there (first: 3)"),
    "score nan": (SCORES, with_value("score", 3, np.nan), "the score of sample 3 is NaN"),
    "rank": (SCORES, with_value("id_rank", 7, 1.5), "the id_rank of sample 8 is 1.5"),
    "rank missing": (SCORES, with_value("id_rank", 7, None), "the id_rank of sample 8 is missing"),
    "score missing": (SCORES, with_value("score", 3, None), "the score of sample 3 is missing"),
    "recipe text": ("models/model=m", with_value("recipe", 0, "{"), "the recipe of row 0 is '{', which is no JSON object"),
    "role": ("datasets/dataset=d", with_value("role", 0, "x"), "the role of row 0 is 'x', which is none of fit, id"),
    "model twice": ("models/model=m", lambda rows: pa.concat_tables([rows, rows]), "its only part has 2 rows instead of one"),
    "class": ("heads/model=m", with_value("class", 1, 0), "class 0 is there twice"),
    "fit": ("fits/model=m/dataset=d", with_value("values", 1, [3.0, np.inf]), "the values of row 1 is NaN or infinite"),
    "recipe": ("models/model=m", with_value("dropout", 0, np.inf), "the dropout of row 0 is NaN or infinite"),
    "samples": ("samples/dataset=d", without_row(8), "1 samples of the dataset are not there (first: 8)"),
    "contents lost": ("contents/dataset=d", without_row(2), "1 samples of the dataset are not there (first: 2)"),
    "contents": ("contents/dataset=d", with_value("digest", 1, "x"), "the digest of sample 1 is no digest"),
}  # fmt: skip


@pytest.mark.parametrize("deep", [False, True])
def test_a_sound_lake_has_no_fault(sound: Lake, *, deep: bool) -> None:
    assert faults(sound, deep=deep) == []


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("kind", SHALLOW)
def test_what_contradicts_a_manifest_is_named(sound: Lake, kind: str, *, deep: bool) -> None:
    """One fault, with its partition and object, however deep one looks: no other is made up because of it."""
    spoil, said = SHALLOW[kind]
    spoil(sound)
    found, *others = faults(sound, deep=deep)
    assert said in found
    assert found.startswith("activations (model m, dataset d), activations/model=m/dataset=d/")
    assert others == [] or kind == "named twice"


@pytest.mark.parametrize("kind", DEEP)
def test_what_is_wrong_inside_a_fragment_is_found_by_a_deep_look(sound: Lake, kind: str) -> None:
    """And by no other."""
    spoil, said = DEEP[kind]
    spoil(sound)
    assert faults(sound, deep=False) == []
    found = [fault for fault in faults(sound) if said in fault]
    assert found
    assert found[0].startswith("activations (model m, dataset d), activations/model=m/dataset=d")


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_what_is_wrong_in_other_tables_is_found_too(sound: Lake, kind: str) -> None:
    folder, change, said = ELSEWHERE[kind]
    rewrite(sound, folder, change)
    (found, *_) = [fault for fault in faults(sound) if said in fault]
    assert f"{folder}" in found
    if folder.startswith("scores"):
        assert found.startswith("scores (benchmark main, model m, dataset d, detector energy), ")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (with_value("fpr95", 1, 7.0), "the fpr95 of row 1 is 7"),
        (with_value("auroc", 0, -0.5), "the auroc of row 0 is -0.5"),
        (with_value("ood_class", 1, None), "the row of msp, id, far, class is there twice"),
        (with_value("detector", 0, None), "the detector of row 0 is missing"),
        (with_value("n_id", 0, -1), "the n_id of row 0 is -1"),
    ],
)
def test_metrics_are_shares_each_told_once(tmp_path: Path, change: Change, said: str) -> None:
    """What cannot be, whoever wrote it."""
    lake = Lake(tmp_path / "lake")
    names = {"detector": "msp", "id_dataset": "id", "ood_dataset": "far", "aggregation": "class", "n_id": 9}
    rows = [{**names, "ood_class": of, "fpr95": 0.1, "auroc": None} for of in (None, "x")]
    put_rows(lake, "metrics", PATH, *rows)
    assert faults(lake) == []
    rewrite(lake, "metrics/benchmark=main/model=m", change)
    (found,) = faults(lake)
    assert said in found
    assert found.startswith("metrics (benchmark main, model m), metrics/benchmark=main/model=m/")


def test_what_is_no_file_is_told_and_not_waited_for(sound: Lake) -> None:
    """A pipe in the place of a fragment or a manifest, and a manifest that links to nothing."""
    gone = fragment(sound)
    gone.unlink()
    os.mkfifo(gone)
    for folder, make in (("models/model=m", os.mkfifo), ("heads/model=m", lambda path: path.symlink_to("nothing"))):
        make(Path(sound.location) / folder / "_manifest.2.json")
    found = faults(sound, deep=False)
    assert any("models/model=m/_manifest.2.json: Cannot read" in fault and "it is no file" in fault for fault in found)
    assert any(f"{gone.name}: it cannot be read" in fault and "no file" in fault for fault in found)
    assert any("heads/model=m/_manifest.2.json: There is no" in fault for fault in found)


def test_a_wrong_head_is_found(sound: Lake) -> None:
    """The head of another network does not explain the logits, and each fragment says so once."""
    rewrite(sound, "heads/model=m", with_value("weight", 1, 5.0))
    found = faults(sound)
    assert len(found) == 2
    assert all("logit 1 of sample" in fault and "but the head gives" in fault for fault in found)


def test_one_fault_does_not_hide_another(sound: Lake) -> None:
    """Each fragment is looked at, whatever is wrong with the others."""
    (Path(sound.location) / "models/model=m/_manifest.1.json").write_text("{")
    fragment(sound, index=0).unlink()
    rewrite(sound, ACTIVATIONS, with_value("feature", 2, np.nan), 0)
    truncate(fragment(sound, SCORES, 1))
    found = faults(sound)
    assert ["models" in found[0], "missing" in found[1], "sample 7 is NaN" in found[2], "detector msp" in found[3]] == [
        True
    ] * 4


def test_stale_is_not_faulty(sound: Lake) -> None:
    """Activations of a dataset that changed, or by older weights than the head's, are compared with neither."""
    put_samples(sound, "y", 1)
    put_head(sound, "new", np.ones((CLASSES, WIDTH)), np.zeros(CLASSES, np.float32))
    assert faults(sound) == []


def test_the_command_prints_each_fault_and_exits_with_1(sound: Lake, run: Run) -> None:
    """A line each, then a summary; 0 where nothing is wrong, 1 on any fault."""

    asked = ("verify", "--lake", sound.location)
    code, out, _ = run(*asked, "--deep")
    assert (code, out.count("\n")) == (0, 1)
    assert out.startswith("9 partitions, 11 fragments, ")
    assert out.endswith(": no fault\n")
    flip_bit(fragment(sound))
    assert run(*asked)[0] == 0
    code, out, _ = run(*asked, "--deep")
    assert (code, out.count("\n")) == (1, 2)
    assert out.endswith(": 1 fault\n")


def test_a_column_that_a_later_version_added_is_no_fault(sound: Lake) -> None:
    """The format allows more columns at the end of a table."""
    rewrite(sound, ACTIVATIONS, lambda rows: rows.append_column("later", pa.array([1] * rows.num_rows)))
    assert faults(sound) == []
