from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

import featurestore as fs
from benchmarks.lakes import put, put_scores
from featurestore import CorruptionError, InputError, Lake, LakeError, MissingError
from featurestore.fragments import row_counts
from featurestore.layout.tables import TABLES
from tests.conftest import random_activations

if TYPE_CHECKING:
    from collections.abc import Callable


ONE_ACCURACY = {"n": [10], "top1": [0.5], "top5": [1.0]}


@pytest.mark.parametrize("name", ["a b", "x[1]", "l*", "l?", "it's", "pct%20x", "ünï", "run=3", "lr=0.1,wd=3", "a=b=c"])
def test_a_lake_may_lie_anywhere(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patterns, quotes and equals signs in its path are plain characters: a sibling is never read in its place."""
    monkeypatch.setattr(row_counts, "_known", set())
    for folder, top1 in (("lx", 0.9), ("x1", 0.8), (name, 0.25)):
        put(
            Lake(tmp_path / folder / "lake"),
            "accuracy",
            {"model": "m", "dataset": "d"},
            {**ONE_ACCURACY, "top1": [top1]},
        )
    lake = Lake(tmp_path / name / "lake")
    put(lake, "activations", {"model": "m", "dataset": "d"}, random_activations(3))
    assert lake.sql("select model, top1 from accuracy").fetchall() == [("m", 0.25)]
    assert lake.scan("accuracy").collect().to_dicts() == [
        {"model": "m", "dataset": "d", "n": 10, "top1": 0.25, "top5": 1.0}
    ]
    assert lake.scan("activations").collect().columns == TABLES["activations"].sql_schema.names
    assert len(list(lake.batches(model="m", dataset="d"))) == 1


@pytest.mark.parametrize(
    "use",
    [
        lambda lake: lake.scan("metrics"),
        lambda lake: lake.sql("select 1"),
        lambda lake: lake.ask("best_detector"),
        lambda lake: lake.connect(),
        lambda lake: lake.batches(model="m", dataset="d"),
        lambda lake: lake.read("models", model="m"),
        lambda lake: lake.scan("metrics", model="m"),
        lambda lake: lake.partitions("models"),
        lambda lake: lake.part("models", model="m"),
        lambda lake: lake.pieces(model="m", dataset="d"),
    ],
)
def test_a_lake_that_is_not_there(tmp_path: Path, use: Callable[[Lake], Any]) -> None:
    """Reading from a mistyped location is an error, not an empty answer, and makes no folder."""
    with pytest.raises(MissingError, match=r"There is no lake at .*nowhere: name one with --lake"):
        use(Lake(tmp_path / "nowhere"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda lake: lake.scan("metric"), MissingError, "no table 'metric': did you mean 'metrics'"),
        (lambda lake: lake.scan("scores", detecter="x"), MissingError, "did you mean 'detector'"),
        (lambda lake: lake.scan("scores", model="../x"), InputError, "cannot be the name of a model"),
        (
            lambda lake: lake.scan("accuracy", model="vit-bb"),
            MissingError,
            "no model in accuracy 'vit-bb': did you mean 'vit-b'",
        ),
        (
            lambda lake: lake.scan("accuracy", dataset="vall"),
            MissingError,
            "no dataset in accuracy 'vall': did you mean 'val'",
        ),
        (lambda lake: lake.scan("scores", benchmark="mian"), MissingError, "did you mean 'main'"),
        (
            lambda lake: lake.scan("scores", model="vit-b", detector="msq"),
            MissingError,
            "no detector in scores 'msq': did you mean 'msp'",
        ),
        (
            lambda lake: lake.scan("geometry", model="vit-b"),
            MissingError,
            "no model in geometry 'vit-b': there are none yet",
        ),
        (lambda lake: lake.partitions("scores", modle="a"), MissingError, "did you mean 'model'"),
        (lambda lake: lake.batches(model="m"), InputError, "is named by model, dataset: give dataset too"),
        (lambda lake: lake.batches(model="m", dataset="d", x="y"), MissingError, "no key of activations 'x'"),
        (lambda lake: lake.read("accuracy", model="vit-b", dataset="vall"), MissingError, "'model vit-b, dataset val'"),
        (lambda lake: lake.read("models", model="vit-b"), MissingError, "there are none yet"),
        (lambda lake: lake.ask("best_detectr"), MissingError, "did you mean 'best_detector'"),
        (lambda lake: lake.ask("best_detector", agregation="x"), MissingError, "did you mean 'aggregation'"),
        (lambda lake: lake.ask("best_detector", question="x", self="y"), MissingError, "no parameter of best_detector"),
        (lambda lake: lake.ask("high_accuracy_failures", top="five"), InputError, "a whole number, not 'five'"),
    ],
)
def test_a_mistake_is_named(lake: Lake, use: Callable[[Lake], Any], error: type[LakeError], message: str) -> None:
    """Unknown tables, keys, partitions, questions and parameters get the nearest that there is."""
    put(lake, "accuracy", {"model": "vit-b", "dataset": "val"}, ONE_ACCURACY)
    put_scores(lake, "vit-b", "val", {"msp": ([1.0], [0.5])})
    with pytest.raises(error, match=message):
        use(lake)


def test_sql_over_a_missing_or_altered_fragment_is_an_error(lake: Lake) -> None:
    """DuckDB is not shown a fragment that its manifest does not vouch for: it would not notice a flipped bit."""
    put(lake, "accuracy", {"model": "m", "dataset": "d"}, ONE_ACCURACY)
    (path,) = Path(lake.location).rglob("*.parquet")
    good = path.read_bytes()
    for position in range(0, len(good), 97):
        path.write_bytes(good[:position] + bytes([good[position] ^ 4]) + good[position + 1 :])
        with pytest.raises(CorruptionError, match="sha256 differs"):
            lake.sql("from accuracy")
    path.unlink()
    with pytest.raises(CorruptionError, match="missing"):
        lake.sql("from accuracy")
    with pytest.raises(CorruptionError, match="missing"):
        lake.read("accuracy", model="m", dataset="d")


def test_sql_sees_the_lake_as_it_is_now(lake: Lake) -> None:
    """Each call reads the manifests again; an answer at hand does not change."""
    assert lake.sql("from accuracy").fetchall() == []
    put(lake, "accuracy", {"model": "m", "dataset": "d"}, ONE_ACCURACY)
    assert lake.sql("from accuracy").fetchall() == [("m", "d", 10, 0.5, 1.0)]


def test_questions_can_be_listed() -> None:
    """What can be asked is known without a lake: name, title, question, topic and columns of each."""
    for name, question in Lake("nowhere").questions().items():
        assert (question.name, question.origin) == (name, f"sql/questions/{name}.sql")
        assert question.title
        assert question.question.endswith("?")
        assert question.topic
        assert question.columns


def test_a_notebook_shows_what_a_lake_holds(tmp_path: Path) -> None:
    """Per table, from manifests alone; nothing in the location is taken for HTML."""
    lake = Lake(tmp_path / "<b>lake</b>")
    assert "there is none yet" in lake._repr_html_()
    Path(lake.location).mkdir(parents=True)
    assert "it is empty" in lake._repr_html_()
    put_scores(lake, "a", "x", dict.fromkeys(("msp", "knn"), ([1.0, 2.0], [0.5, 0.5])))
    put(lake, "accuracy", {"model": "a", "dataset": "x"}, ONE_ACCURACY)
    for path in Path(lake.location).rglob("*.parquet"):
        path.unlink()
    shown = lake._repr_html_()
    assert "<tr><td>scores</td><td>1</td><td>2</td><td>4</td><td>" in shown
    assert "<tr><td>accuracy</td><td>1</td><td>1</td><td>1</td><td>" in shown
    assert "<b>" not in shown
    assert "&lt;b&gt;lake&lt;/b&gt;" in shown
    ET.fromstring(shown)


def test_a_notebook_shows_answers_as_tables(lake: Lake) -> None:
    """Of many rows the first, of any type; nothing in them is taken for HTML."""
    put(lake, "models", {"model": "m"}, {"params": [1]})
    shown = lake.sql(
        "select '<b>' || i as name, interval 1 day as span from range(50) t(i), models order by i"
    )._repr_html_()
    assert "&lt;b&gt;49" in shown
    assert "<b>" not in shown
    assert "first 50 rows" not in shown
    many = lake.sql("select i from range(51) t(i), models order by i")._repr_html_()
    assert "first 50 rows" in many
    assert "<td>49</td>" in many
    assert "<td>50</td>" not in many
    assert "<th>detector</th>" in lake.ask("coverage")._repr_html_()


def test_what_is_handed_out_has_public_names(lake: Lake) -> None:
    """For annotations in a user's own code."""
    target = put(lake, "accuracy", {"model": "m", "dataset": "d"}, ONE_ACCURACY)
    (manifest,) = lake.partitions("accuracy")
    assert isinstance(manifest, fs.Manifest)
    assert isinstance(manifest.parts[0], fs.Part)
    assert manifest.parts[0].fingerprint == target.fingerprint
    assert {type(question) for question in lake.questions().values()} == {fs.Question}
    (block,) = lake.batches("accuracy", model="m", dataset="d", columns=("n",))
    assert isinstance(block, fs.Batch)
