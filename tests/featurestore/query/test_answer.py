"""`featurestore ask`: list, explain, answer; the user's own questions too."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.lakes import put
from featurestore import Filters, InputError, Lake
from featurestore.query import catalog
from tests.featurestore.conftest import ROOT
from tests.s3.server import environment, new_lake, use

if TYPE_CHECKING:
    from tests.conftest import Run

OWN = """\
-- title: Models of mine
-- question: Which of my models are there?
-- topic: my studies
-- param at_least number = 0.5 [0, 1]: The smallest accuracy
-- column model: The model's name
-- column accuracy: Its accuracy
select model, max(accuracy) as accuracy
from results
where accuracy >= $at_least
group by model
order by model
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "my_models.sql").write_text(OWN)
    return folder


def test_questions_are_listed_by_topic(run: Run) -> None:
    """The package's topics come in its order, each with its questions, even before there is a lake."""
    code, out, err = run("ask")
    assert (code, err, "--explain" in out) == (0, "", True)
    lines = [line.rstrip() for line in out.splitlines()]
    topics = [topic for topic in ("accuracy", "recipes", "detectors", "unit-tests") if topic in lines]
    places = [lines.index(topic) for topic in topics]
    assert places == sorted(places)
    for name, question in catalog.questions().items():
        (place,) = [number for number, line in enumerate(lines) if line.split()[:1] == [name]]
        assert lines[max(p for p in places if p < place)] == question.topic or question.topic not in topics


def test_filters_and_parameters_are_options(run: Run, four: Lake) -> None:
    """Each narrows the answer; what is left out for want of knowledge is said on standard error."""
    asked = ("ask", "best_detector", "--lake", four.location, "--format", "json")
    code, out, err = run(
        *asked, "--where", "weight_decay > 0.2 and ood_dataset = 'far'", "--detector", "msp", "--model", "b"
    )
    assert code == 0
    assert [(row["ood_dataset"], row["pretraining"], row["detector"]) for row in json.loads(out)] == [
        ("far", "in21k", "msp")
    ]
    assert err == "Note: 1 of 4 models left out by (weight_decay > 0.2): their weight_decay is not known.\n"
    assert len(json.loads(run(*asked, "--detector", "msp", "--detector", "vim")[1])) == 12


def test_an_empty_answer_says_what_the_lake_lacks(run: Run, lake: Lake) -> None:
    """No metrics yet: which command makes them; before that, which makes what they are made of."""
    asked = ("ask", "best_detector", "--lake", lake.location, "--format", "csv")
    code, out, err = run(*asked)
    assert (code, out.count("\n")) == (0, 1)
    assert "has no models yet: `featurestore extract` makes them." in err
    assert "has no accuracy and no metrics yet: `featurestore score` makes them." in err
    put(lake, "models", {"model": "a"}, {"params": [1]})
    assert "extract" not in run(*asked)[2]


def test_an_empty_answer_names_a_value_that_the_lake_does_not_know(run: Run, four: Lake) -> None:
    """A typo in a benchmark's or detector's name gets the nearest there is."""
    asked = ("ask", "accuracy_vs_unit_test_fpr", "--lake", four.location, "--param", "unit_tests=far")
    assert run(*asked)[2] == ""
    for parameter, message in (
        ("benchmark=mein", "There is no benchmark 'mein' in metrics: did you mean 'main'?"),
        ("detector=mps", "There is no detector 'mps' in metrics: did you mean 'msp'?"),
    ):
        code, _, err = run(*asked, "--param", parameter)
        assert (code, err) == (0, f"Note: {message}\n")


def test_an_empty_full_spectrum_says_what_it_needs(run: Run) -> None:
    """A lake with metrics and no csid sets; the standard spectrum of groups is there."""
    for asked in (["full_spectrum"], ["groups", "--param", "spectrum=full"]):
        code, _, err = run("ask", *asked, "--lake", str(ROOT / "tests" / "compat" / "lake_v1"))
        assert (code, err.count("\n")) == (0, 1)
        assert "has no metrics of the full spectrum" in err
        assert "--role csid" in err


def test_the_schema_has_every_view_column_and_meaning(run: Run) -> None:
    """As text, and as rows for machines; one view alone, too; no lake is needed."""
    code, out, _ = run("ask", "--schema")
    assert code == 0
    for name, view in catalog.views().items():
        assert f"{name}: {view.title}" in out
        assert all(f" {column} " in out and text in out for column, text in view.columns.items())
    for name, macro in catalog.macros().items():
        assert f"{name}(" in out
        assert macro.title in out
        assert all(argument.description in out for argument in macro.arguments.values())
    rows = json.loads(run("ask", "metrics", "--schema", "--format", "json")[1])
    assert {row["column"]: row["meaning"] for row in rows[1:]} == dict(catalog.views()["metrics"].columns)


def test_own_questions_are_the_equals_of_the_shipped(run: Run, four: Lake, own: Path) -> None:
    """Listed, explained, and answered with parameters and filters."""
    options = ("--questions", str(own), "--lake", four.location)
    _, out, _ = run("ask", *options)
    assert "my studies" in out
    assert "my_models" in out
    assert "best_detector" in out
    _, out, _ = run("ask", "my_models", "--explain", *options)
    assert "--param at_least=0.5   (number, from 0.0 to 1.0) The smallest accuracy" in out
    assert "where accuracy >= $at_least" in out
    assert str(own / "my_models.sql") in out
    asked = ("ask", "my_models", "--param", "at_least=0.75", "--where", "pretraining <> 'in21k'", "--format", "csv")
    code, out, _ = run(*asked, *options)
    assert (code, list(csv.reader(io.StringIO(out)))) == (0, [["model", "accuracy"], ["c", "0.9"]])
    assert "did you mean 'my_models'?" in run("ask", "my_model", *options)[2]
    assert "from 0.0 to 1.0, not '7'" in run("ask", "my_models", "--param", "at_least=7", *options)[2]


def test_published_numbers_are_asked_without_a_lake(run: Run, own: Path) -> None:
    """Questions that read nothing else are listed and answered in any folder, with filters and parameters."""
    header = "-- title: Published\n-- question: What was published?\n-- param most number = 0.2: The largest FPR\n-- column model: M\n"
    (own / "lowest.sql").write_text(f"{header}select model from published where fpr95 <= $most order by all\n")
    options = ("--published", "--questions", str(own))
    _, out, _ = run("ask", *options)
    assert "lowest" in out
    assert "my_models" not in out
    code, out, err = run("ask", "lowest", *options, "--detector", "mahalanobis-pp", "--format", "csv")
    assert (code, out.splitlines(), err) == (0, ["model", "ConvNeXtV2-L-In21k", "EVA02-L14-M38m-In21k"], "")
    narrowed = ("--param", "most=1", "--where", "accuracy > 0.9 and detector = 'msp'")
    assert run("ask", "lowest", *options, *narrowed, "--format", "csv")[1].splitlines() == [
        "model",
        "EVA02-L14-M38m-In21k",
    ]
    assert "which only a lake has: ask it without --published." in run("ask", "my_models", *options)[2]


def test_an_answer_is_a_relation_a_frame_and_arrow(four: Lake) -> None:
    """The same rows, whatever a script goes on with."""
    rows = four.ask("best_detector", Filters(detectors=["vim"])).fetchall()
    assert len(rows) == 6
    assert four.ask("best_detector", Filters(detectors=["vim"])).pl().rows() == rows
    table = four.ask("best_detector", Filters(detectors=["vim"])).to_arrow_table()
    assert [tuple(row.values()) for row in table.to_pylist()] == rows


BROKEN = {
    "header": (OWN.replace("-- topic:", "-- topik:"), "line 3: expected `-- tag: text`"),
    "syntax": (OWN.replace("group by", "gruop by"), "line 10: DuckDB refuses the SQL: Parser Error"),
    "column": (OWN.replace("max(accuracy)", "max(acuracy)"), "line 7: DuckDB refuses the SQL: Binder Error"),
    "table": (
        OWN.replace("from results", "from resalts"),
        "line 8: DuckDB refuses the SQL: there is no table 'resalts': did you mean 'results'?",
    ),
    "statement": (OWN.replace("select model", "create table t as select model"), "line 7: expected one SELECT"),
    "two": (OWN + ";\ndrop view results", "expected one SELECT"),
    "parameter": (OWN.replace("$at_least", "$atleast"), "these differ: at_least, atleast"),
    "empty": ("", "line 1: expected `-- title: …`"),
    "row": (OWN.replace("max(accuracy)", "max(cast(model as int))"), "Could not convert string"),
    "Big-Name": (OWN, "a question's file is named by a-z, 0-9 and _"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_names_itself_and_the_line(run: Run, four: Lake, own: Path, name: str) -> None:
    """Whoever asks it, and whoever lists questions, is told; nobody is kept from the other questions."""
    text, message = BROKEN[name]
    (own / f"{name}.sql").write_text(text)
    options = ("--questions", str(own), "--lake", four.location)
    code, out, err = run("ask", name, *options)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert str(own / f"{name}.sql") in err
    assert message in err
    assert run("ask", "my_models", *options)[0] == 0
    code, out, _ = run("ask", *options)
    assert code == 0
    found_without_running = name not in {"column", "table", "row"}
    assert ("Passed over:" in out) == found_without_running


def test_a_file_in_a_lake_neither_blocks_nor_replaces_a_question(run: Run, four: Lake, tmp_path: Path) -> None:
    """Whatever lies in a stranger's `questions/`: it is passed over with a sentence, and what the package asks is what it asks."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "best_detector.sql").write_text("-- title: Ours\n-- column a: A\nselect 1 as a\n")
    (folder / "gone.sql").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / "pipe.sql")
    with (folder / "huge.sql").open("wb") as file:
        file.truncate(3 << 30)
    (folder / "deep.sql").write_text(f"-- title: x\n-- column a: A\nselect {'(' * 50_000}1{')' * 50_000} as a\n")
    (folder / "odd.sql").write_text("-- title: [/x]\x1b[2J\n-- topic: [/x]\n-- column a: A\nselect 1 as a\n")
    Path(four.location, "questions").symlink_to(folder)
    try:
        code, out, err = run("ask", "best_detector", "--format", "csv", "--lake", four.location)
        assert code == 0
        assert out.startswith("ood_dataset,pretraining,detector,")
        for name, why in (
            ("best_detector", "is a question of that name: give the file another."),
            ("gone", "No such file or directory."),
            ("pipe", "a question is a file, and this is none."),
            ("huge", "a question has at most 256 kB; this file has 3,145,728 kB."),
            ("deep", "a question has at most 200 parentheses within each other."),
        ):
            assert [line for line in err.splitlines() if f"/{name}.sql" in line and why in line], name
        code, out, _ = run("ask", "--lake", four.location)
        assert code == 0
        assert r"[/x]\x1b[2J" in out
    finally:
        Path(four.location, "questions").unlink()


def test_text_that_is_no_text_names_the_line(run: Run, own: Path) -> None:
    (own / "latin.sql").write_bytes("-- title: x\n-- column a: Schärfe\nselect 1 as a".encode("latin-1"))
    assert "latin.sql, line 2: expected text in UTF-8." in run("ask", "latin", "--questions", str(own))[2]


def test_questions_in_the_lake_are_everybodys(run: Run, lake: Lake) -> None:
    """A file in the lake's `questions/` is asked with no option, and seen by Python."""
    put(lake, "models", {"model": "a"}, {"params": [1]})
    lake.storage.put(
        "questions/my_models.sql", OWN.replace("results", "(select model, params as accuracy from models)").encode()
    )
    lake.storage.put("questions/deeper/no.sql", b"nothing")
    assert json.loads(run("ask", "my_models", "--lake", lake.location, "--format", "json")[1]) == [
        {"model": "a", "accuracy": 1}
    ]
    assert lake.questions()["my_models"].topic == "my studies"
    assert lake.ask("my_models", at_least=0.5).fetchall() == [("a", 1)]
    lake.storage.put("questions/broken.sql", b"-- titel: x")
    with pytest.warns(UserWarning, match=r"questions/broken\.sql, line 1"):
        assert "broken" not in lake.questions()
    with pytest.raises(InputError, match=r"questions/broken\.sql, line 1"):
        lake.ask("broken")


def test_a_lake_in_a_bucket_is_asked_alike(run: Run, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Own questions, filters, and no way out of the lake, on S3."""
    use(monkeypatch, environment(endpoint))
    bucket = new_lake(endpoint)
    lake = Lake(bucket)
    put(lake, "models", {"model": "a"}, {"params": [1], "weight_decay": [0.5]})
    put(lake, "models", {"model": "b"}, {"params": [2]})
    lake.storage.put("questions/mine.sql", b"-- title: x\nselect model from models order by 1")
    lake.storage.put("questions/reader.sql", b"-- title: x\nfrom read_text('/etc/hostname')")
    code, out, err = run("ask", "mine", "--lake", bucket, "--where", "weight_decay > 0.1", "--format", "csv")
    assert (code, out) == (0, "model\na\n")
    assert "1 of 2 models left out" in err
    assert "mine" in run("ask", "--lake", bucket)[1]
    assert "Cannot access file" in run("ask", "reader", "--lake", bucket)[2]
