from __future__ import annotations

import csv
import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from featurestore.cli.options import with_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from featurestore import Lake

    Run = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parents[3]


@pytest.fixture
def one_metric(lake: Lake, put: Callable[..., Any]) -> Lake:
    put(lake, "accuracy", {"model": "vit", "dataset": "val"}, {"n": [100], "top1": [0.75], "top5": [1.0]})
    columns = {
        "detector": ["msp"] * 2,
        "id_dataset": ["val"] * 2,
        "ood_dataset": ["unit-tests"] * 2,
        "ood_class": ["black", "white"],
        "aggregation": ["class"] * 2,
        "n_id": [100] * 2,
        "n_ood": [10] * 2,
        "fpr95": [0.25, 0.0],
        "auroc": [0.5, 1.0],
    }
    put(lake, "metrics", {"benchmark": "main", "model": "vit"}, columns)
    return lake


def subprocess_run(code_or_module: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run([sys.executable, *code_or_module], check=False, capture_output=True, text=True, env=environ)


def test_ask_lists_all_questions(run: Run, lake: Lake) -> None:
    """Without a name, every question is there with what it answers, even before there is a lake."""
    code, out, err = run("ask", "--lake", "nowhere")
    assert (code, err) == (0, "")
    assert all(name in out for name in lake.questions())
    assert "--explain" in out


def test_ask_explains_each_question(run: Run, lake: Lake) -> None:
    """Title, what it answers, each parameter with its default, each column, and the SQL."""
    for name, question in lake.questions().items():
        code, out, _ = run("ask", name, "--explain")
        assert code == 0
        texts = [question.title, question.question, question.finding, *question.columns, *question.columns.values()]
        assert all(text in out for text in texts)
        assert all(f"--param {p.name}={p.default}" in out for p in question.parameters.values())
        assert "from " in out


def test_ask_answers(run: Run, one_metric: Lake) -> None:
    """One row per model and detector, as csv, with a parameter, from the lake of the environment or the option."""
    code, out, err = run("ask", "accuracy_vs_unit_test_fpr", "--format", "csv", "--lake", one_metric.location)
    assert (code, err) == (0, "")
    assert list(csv.DictReader(io.StringIO(out))) == [
        {
            "model": "vit",
            "pretraining": "",
            "detector": "msp",
            "accuracy": "0.75",
            "mean_fpr95": "0.125",
            "failed": "1",
            "unit_tests": "2",
        }
    ]
    asked = ("ask", "accuracy_vs_unit_test_fpr", "--format", "json", "--lake", one_metric.location)
    assert json.loads(run(*asked, "--param", "detector=gen")[1]) == []
    assert len(json.loads(run(*asked, "--param", "detector=msp", "--param", "benchmark=main")[1])) == 1


def test_sql_answers(run: Run, one_metric: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any SELECT over the views; the lake may come from the environment."""
    monkeypatch.setenv("FEATURESTORE_LAKE", one_metric.location)
    code, out, _ = run("sql", "select detector, avg(fpr95) as fpr95 from metrics group by 1", "--format", "csv")
    assert (code, out) == (0, "detector,fpr95\nmsp,0.125\n")


MISTAKES = {
    "an unknown question": (
        ["ask", "best_detectr"],
        "There is no question 'best_detectr': did you mean 'best_detector'?",
    ),
    "an unknown question to explain": (["ask", "best_detectr", "--explain"], "did you mean 'best_detector'?"),
    "an unknown parameter": (["ask", "best_detector", "--param", "benchmrk=x"], "did you mean 'benchmark'?"),
    "a parameter named like an argument": (
        ["ask", "best_detector", "--param", "self=x"],
        "no parameter of best_detector",
    ),
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
def test_a_mistake_is_one_sentence(run: Run, lake: Lake, tmp_path: Path, mistake: str) -> None:
    """Exit code 1, one clear line on standard error, nothing on standard output, no traceback, nothing written."""
    arguments, message = MISTAKES[mistake]
    (tmp_path / "file").write_text("x")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run(*arguments, *([] if "--lake" in arguments else ["--lake", lake.location]))
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
    """Help is no error, and names every command."""
    code, out, _ = run("--help")
    assert code == 0
    assert all(name in out for name in ("dataset", "unit-tests", "extract", "score", "ask", "sql", "report", "demo"))


def test_debug_shows_the_traceback() -> None:
    """Who looks for a bug sees where it happened; anyone else one line."""
    arguments = ["-m", "featurestore", "ask", "nope"]
    plain, debug = subprocess_run(arguments), subprocess_run([*arguments, "--debug"])
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
    done = subprocess_run(["-c", code], FEATURESTORE_LAKE=lake.location)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1].split() == ["heavy:"]


def test_a_missing_extra_is_named(lake: Lake, tmp_path: Path) -> None:
    """Where torch is not installed, extract says what to install."""
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "sitecustomize.py").write_text("import sys; sys.modules['torch'] = None\n")
    path = os.pathsep.join([str(tmp_path / "blocked"), str(ROOT)])
    arguments = ["-m", "featurestore", "extract", "--model", "vit", "--dataset", "d", "--lake", lake.location]
    done = subprocess_run(arguments, PYTHONPATH=path)
    assert done.returncode == 1
    assert done.stderr == "Error: This command needs torch: pip install 'featurestore[extract]'.\n"


def test_parquet_goes_through_a_pipe(one_metric: Lake, tmp_path: Path) -> None:
    """`--format parquet > answer.parquet` is a file that any tool reads."""
    import polars as pl

    with (tmp_path / "answer.parquet").open("wb") as file:
        arguments = ["sql", "select model, fpr95 from metrics order by fpr95", "--format", "parquet"]
        command = [sys.executable, "-m", "featurestore", *arguments, "--lake", one_metric.location]
        subprocess.run(command, check=True, stdout=file, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert pl.read_parquet(tmp_path / "answer.parquet").rows() == [("vit", 0.0), ("vit", 0.25)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_lake_answers(run: Run, one_metric: Lake) -> None:
    """Asking needs no right to write."""
    for path in [*one_metric.storage.folder.rglob("*"), one_metric.storage.folder]:
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    assert run("sql", "from accuracy", "--lake", one_metric.location)[0] == 0


def test_an_option_may_be_given_without_its_value() -> None:
    """`--ray` alone is `--ray` with an empty text, wherever it stands; with an address, it takes it."""
    for alone in (["--ray"], ["--ray", "--replace"], ["--ray", "-x"]):
        assert list(with_value("--ray", ["--dataset", "val", *alone])) == ["--dataset", "val", "--ray=", *alone[1:]]
    for given in (["--ray", "head:6379", "--replace"], ["--ray=head:6379"], ["--replace"]):
        assert list(with_value("--ray", given)) == given
