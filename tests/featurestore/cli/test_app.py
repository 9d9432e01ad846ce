from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.featurestore.conftest import ROOT, python

if TYPE_CHECKING:
    from pathlib import Path

    from featurestore import Lake
    from tests.conftest import Run


SECOND = "true) ; copy (select 1) to 'x.csv'; select (1"
MISTAKES = {
    "a question": (["ask", "best_detectr"], "There is no question 'best_detectr': did you mean 'best_detector'?"),
    "a question to explain": (["ask", "best_detectr", "--explain"], "did you mean 'best_detector'?"),
    "a parameter": (["ask", "best_detector", "--param", "benchmrk=x"], "did you mean 'benchmark'?"),
    "an argument as parameter": (["ask", "best_detector", "--param", "self=x"], "no parameter of best_detector"),
    "a choice": (["ask", "best_detector", "--param", "aggregation=class_meen"], "cannot be 'class_meen': did you mean"),
    "a model": (["ask", "best_detector", "--model", "aa"], "There is no model 'aa': did you mean 'a'?"),
    "a detector": (["ask", "best_detector", "--detector", "mps"], "There is no detector 'mps': did you mean 'msp'?"),
    "a column": (["ask", "best_detector", "--where", "acuracy > 0"], "did you mean 'accuracy'?"),
    "a second statement": (["ask", "best_detector", "--where", SECOND], "it holds another statement."),
    "a query": (["ask", "best_detector", "--where", "model = (from read_text('x'))"], "it has a query inside it."),
    "not published": (["ask", "best_detector", "--published"], "needs accuracy, metrics, models, results, which"),
    "a view": (["ask", "metrcs", "--schema"], "There is no view or macro 'metrcs': did you mean 'metrics'?"),
    "a folder": (["ask", "--questions", "nowhere"], "There is no folder nowhere with questions."),
    "a format to ask": (["ask", "best_detector", "--format", "jsn"], "did you mean 'json'?"),
    "a parameter without a value": (["ask", "best_detector", "--param", "benchmark"], "--param takes name=value"),
    "a parameter twice": (["ask", "best_detector", *(["--param", "benchmark=x"] * 2)], "each name once"),
    "a parameter of another type": (["ask", "high_accuracy_failures", "--param", "top=x"], "a whole number, not 'x'"),
    "an unknown format": (["sql", "select 1", "--format", "jsno"], "There is no format 'jsno': did you mean 'json'?"),
    "an unknown table": (["sql", "select * from metrix"], "DuckDB refuses the query"),
    "no SQL": (["sql", "selekt"], "DuckDB refuses the query"),
    "an error at a row": (["sql", "select cast(x as int) from (values ('a')) t(x)"], "Could not convert string 'a'"),
    "no statement": (["sql", ""], "There is no SQL: give it as an argument"),
    "a file that is not there": (["sql", "from 'nope.parquet'"], "nope.parquet"),
    "no lake for sql": (["sql", "select 1", "--lake", "nowhere"], "There is no lake at nowhere: name one with --lake"),
    "no lake for ask": (["ask", "best_detector", "--lake", "nowhere"], "There is no lake at nowhere"),
    "no lake for score": (["score", "--lake", "nowhere"], "nowhere"),
    "no lake for report": (["report", "out.html", "--lake", "nowhere"], "nowhere"),
    "a file for sql": (["sql", "select 1", "--lake", "file"], "The lake at file is a file: give a folder"),
    "a file for ask": (["ask", "--lake", "file"], "The lake at file is a file"),
    "a file for score": (["score", "--lake", "file"], "The lake at file is a file"),
    "a file for a dataset": (["dataset", "add", "d", ".", "--role", "fit", "--lake", "file"], "is a file"),
    "an unknown store": (["sql", "select 1", "--lake", "gopher://x/y"], "gopher://x/y"),
    "a folder of images that is not there": (["dataset", "add", "d", "no", "--role", "fit"], "no"),
    "a dataset with a slash": (["dataset", "add", "a/b", ".", "--role", "fit"], "use 'a-b'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence(run: Run, four: Lake, tmp_path: Path, mistake: str) -> None:
    """Exit code 1, one clear line on standard error, nothing on standard output, no traceback, nothing written."""
    arguments, message = MISTAKES[mistake]
    (tmp_path / "file").write_text("x")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run(*arguments, *([] if "--lake" in arguments else ["--lake", four.location]))
    assert (code, out) == (1, "")
    assert err.startswith("Error: ")
    assert message in err
    assert "Traceback" not in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask", "--nope"],
        ["nope"],
        ["dataset", "add", "x"],
        ["extract"],
        ["extract", "--dataset", "d", "--batch-size", "0"],
    ],
)
def test_wrong_usage_exits_with_two(run: Run, arguments: list[str]) -> None:
    """An unknown option or command, or a missing argument, shows the usage."""
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Usage" in err


def test_help_exits_with_zero(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert all(name in out for name in ("dataset", "unit-tests", "extract", "score", "ask", "sql", "report", "demo"))


def test_debug_shows_the_traceback() -> None:
    """Who looks for a bug sees where it happened; anyone else one line."""
    arguments = ["-m", "featurestore", "ask", "nope"]
    plain, debug = python(*arguments), python(*arguments, "--debug")
    assert (plain.returncode, debug.returncode) == (1, 1)
    assert "Traceback" not in plain.stderr
    assert len(plain.stderr.splitlines()) == 1
    assert "Traceback" in debug.stderr
    assert "MissingError" in debug.stderr


@pytest.mark.parametrize("arguments", [["ask"], ["ask", "best_detector"], ["ask", "--schema"], ["sql", "select 1"]])
def test_asking_imports_nothing_heavy(lake: Lake, arguments: list[str]) -> None:
    """Questions start fast and are answered where torch is not installed."""
    code = f"""
import atexit, sys
heavy = {{"torch", "timm", "PIL", "altair", "vl_convert", "sklearn", "extract", "analysis", "prompt_toolkit", "scipy"}}
atexit.register(lambda: print("heavy:", *sorted(heavy & sys.modules.keys()), file=sys.stderr))
sys.argv = ["featurestore", *{arguments!r}]
from featurestore.cli.app import main
main()
"""
    done = python("-c", code, FEATURESTORE_LAKE=lake.location)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1].split() == ["heavy:"]


def test_a_missing_extra_is_named(lake: Lake, tmp_path: Path) -> None:
    """Where torch is not installed, extract says what to install."""
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "sitecustomize.py").write_text("import sys; sys.modules['torch'] = None\n")
    path = os.pathsep.join([str(tmp_path / "blocked"), str(ROOT)])
    arguments = ["extract", "--model", "vit", "--dataset", "d", "--lake", lake.location]
    done = python("-m", "featurestore", *arguments, PYTHONPATH=path)
    needs = "Error: This command needs torch: pip install 'featurestore[extract]'.\n"
    assert (done.returncode, done.stderr) == (1, needs)
