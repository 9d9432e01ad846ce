from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import duckdb
import pytest

import featurestore
from featurestore.cli import app
from featurestore.cli.app import root
from tests.featurestore.conftest import ROOT, python
from tests.long import shortened

if TYPE_CHECKING:
    from pathlib import Path

    from featurestore import Lake
    from tests.conftest import Run
    from tests.pipeline import Commands


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
    "not published": (
        ["ask", "best_detector", "--published"],
        "needs accuracy, ingredients, metrics, models, results, which",
    ),
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
    "no lake to list the questions of": (["ask", "--lake", "nowhere"], "There is no lake at nowhere"),
    "no lake to explain from": (["ask", "best_detector", "--explain", "--lake", "nowhere"], "no lake at nowhere"),
    "no lake for the schema": (["ask", "--schema", "--lake", "nowhere"], "There is no lake at nowhere"),
    "no lake, named first": (["--lake", "nowhere", "sql", "select 1"], "There is no lake at nowhere"),
    "no lake, named in the middle": (["dataset", "--lake", "file", "add", "d", ".", "--role", "fit"], "file is a file"),
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
        ["extract", "--dataset", "d", "--batch-size", "0"],
    ],
)
def test_wrong_usage_exits_with_two(run: Run, arguments: list[str]) -> None:
    """An unknown option or command, or a missing argument, shows the usage."""
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Usage" in err


DAY = [
    "demo",
    "dataset",
    "benchmark",
    "unit-tests",
    "extract",
    "score",
    "ask",
    "sql",
    "report",
    "status",
    "verify",
    "gc",
    "catalog",
]


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_in_the_order_of_a_day(run: Run, option: str) -> None:
    """What one begins with comes first, and each command has its line."""
    code, out, _ = run(option)
    assert code == 0
    assert [name for name in re.findall(r"^  ([a-z-]+)  ", out, re.MULTILINE) if name in DAY] == DAY


def test_the_help_lists_each_command_with_the_line_that_it_begins_with_itself() -> None:
    """The list is made without building the commands, which takes longer than printing it."""
    command = root()
    for group in [command, *(each for each in command.commands.values() if hasattr(each, "commands"))]:
        lines = dict(group.commands.lines())
        assert lines == {name: each.help.splitlines()[0] for name, each in group.commands.items()}


def test_each_command_has_the_short_help(run: Run) -> None:
    for words in ([], ["dataset"], ["dataset", "add"], ["ask"], ["demo"]):
        code, out, _ = run(*words, "-h")
        assert (code, "Usage" in out) == (0, True)


def test_the_version_is_told(run: Run) -> None:
    assert run("--version") == (0, f"featurestore {featurestore.__version__}\n", "")


def test_the_lake_may_be_named_before_the_command(run: Run, four: Lake) -> None:
    """Before, after, or in the environment: the nearest counts."""
    asked = ("sql", "from models select count(*)", "--format", "csv")
    answer = run(*asked, "--lake", four.location)
    assert answer[:2] == (0, "count_star()\n4\n")
    assert run("--lake", four.location, *asked) == answer
    assert run("--lake", "nowhere", *asked, "--lake", four.location) == answer
    code, out, _ = run("--lake", four.location, "demo", "--help")
    text = re.sub(r"\s+", " ", out)  # the help breaks lines anywhere
    assert (code, f"[default: {four.location[:5]}" in text) == (0, True)


def test_every_group_takes_the_lake() -> None:
    """It may stand before the last word, too: `featurestore dataset --lake LAKE list`."""
    groups = [each for each in root().commands.values() if hasattr(each, "commands")]
    assert groups
    assert all("lake" in {option.name for option in group.params} for group in groups)


def test_a_question_is_listed_where_no_lake_was_named(run: Run) -> None:
    """Who has no lake yet may look at what can be asked."""
    code, out, _ = run("ask")
    assert (code, "best_detector" in out) == (0, True)


def shell(command: str, **environment: str) -> tuple[int, str, str]:
    """What a shell says to a command, in which `featurestore` is this one."""
    line = f'featurestore() {{ {sys.executable} -m featurestore "$@"; }}; set -o pipefail; {command}'
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(["bash", "-c", line], check=False, capture_output=True, text=True, env=environ, timeout=120)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.once
@pytest.mark.parametrize(
    ("format_", "rows", "unbuffered"),
    shortened([("csv", 100_000, ""), ("table", 1, ""), ("csv", 1, "1"), ("parquet", 1, "")], to=2),
)
def test_a_full_disk_is_a_sentence(four: Lake, format_: str, rows: int, unbuffered: str) -> None:
    """Nothing that was not written is taken for written, whether the answer fits into a buffer or not."""
    command = f"featurestore sql 'from range({rows})' --format {format_} --lake {four.location} > /dev/full"
    code, _, err = shell(command, PYTHONUNBUFFERED=unbuffered)
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith("Error: Standard output, or a file, cannot be written: No space left on device")


@pytest.mark.once
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_half_an_answer_is_none(four: Lake, tmp_path: Path, unbuffered: str) -> None:
    """A disk that takes a part and no more is a full one."""
    command = f"ulimit -f 1; featurestore sql 'from range(100000)' --format csv --lake {four.location} > {tmp_path}/x"
    code, _, err = shell(command, PYTHONUNBUFFERED=unbuffered)
    assert (code, "cannot be written: File too large" in err) == (1, True)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("printf 'select \\377' | featurestore sql", (1, "", "Error: What comes in the pipe is no SQL")),
        ("printf 'select 1 as x' | featurestore sql --format csv", (0, "x\n1\n", "")),
        ("featurestore sql <&-", (1, "", "Error: There is no SQL")),
        ("featurestore sql 'select 1' >&-", (0, "", "")),
    ],
)
def test_what_comes_in_and_goes_nowhere(four: Lake, line: str, expected: tuple[int, str, str]) -> None:
    """Bytes that are no text, and streams that are closed, are no tracebacks."""
    code, out, err = shell(line, FEATURESTORE_LAKE=four.location)
    assert (code, out) == expected[:2]
    assert err.startswith(expected[2])
    assert "Traceback" not in err


def test_a_reader_that_has_read_enough_is_no_error(four: Lake) -> None:
    """`| head` ends the command without a word, as it ends others."""
    command = f"featurestore sql 'from range(1000000)' --format csv --lake {four.location} | head -2"
    assert shell(command) == (141, "range\n0\n", "")


def test_an_error_of_the_system_is_a_sentence(run: Run, four: Lake) -> None:
    """It names the file."""
    code, _, err = run("catalog", "/proc/x.duckdb", "--lake", four.location)
    assert (code, err.count("\n"), "/proc/x.duckdb" in err) == (1, 1, True)


def test_a_file_that_duckdb_cannot_read_is_a_sentence() -> None:
    """Also where a command asks for rows and expects no trouble."""
    with pytest.raises(duckdb.IOException) as raised:
        duckdb.sql("from 'gone.parquet'").fetchall()
    assert re.fullmatch(
        r"DuckDB cannot read the lake: IO Error: .*gone.parquet.*", app._sentence(raised.value, []) or ""
    )


def test_names_are_spelled_out_where_they_cannot_be_written(four: Lake) -> None:
    """A table is for people, who can read `\\u732b`."""
    query = "select chr(29483) || '\u00e9' as n"
    done = python("-m", "featurestore", "sql", query, "--lake", four.location, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u732b" in done.stdout


def complete(words: str, **environment: str) -> list[str]:
    """What bash would offer for the last word."""
    code = "import sys; sys.argv = ['featurestore']; from featurestore.cli import main; main()"
    asked = {"_FEATURESTORE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = python("-c", code, **asked, **environment)
    assert done.stderr == ""
    return done.stdout.split()


def test_the_shell_completes(four: Lake) -> None:
    """Commands, options, questions, formats, and the names in the lake; none where there is no lake."""
    assert complete("featurestore ver") == ["verify"]
    assert "--explain" in complete("featurestore ask --exp")
    assert complete("featurestore ask best_") == ["best_detector", "best_practice", "best_recipe"]
    assert complete("featurestore ask --format m") == ["markdown"]
    assert complete(f"featurestore status --lake {four.location} --model ") == ["a", "b", "c", "d"]
    assert complete("featurestore status --model ", FEATURESTORE_LAKE=four.location) == ["a", "b", "c", "d"]
    assert complete("featurestore status --lake nowhere --model ") == []


def test_the_shell_can_be_taught_to_complete() -> None:
    """The shell that asks is found by itself."""
    code, out, err = shell("featurestore --show-completion; true")
    assert (code, "complete" in out, err) == (0, True, "")


def test_debug_shows_the_traceback() -> None:
    """Who looks for a bug sees where it happened; anyone else one line."""
    arguments = ["-m", "featurestore", "ask", "nope"]
    plain, debug = python(*arguments), python(*arguments, "--debug")
    assert (plain.returncode, debug.returncode) == (1, 1)
    assert "Traceback" not in plain.stderr
    assert len(plain.stderr.splitlines()) == 1
    assert "Traceback" in debug.stderr
    assert "MissingError" in debug.stderr


@pytest.mark.parametrize(
    "arguments", [["--version"], ["ask"], ["ask", "best_detector"], ["ask", "--schema"], ["sql", "select 1"]]
)
def test_asking_imports_nothing_heavy(lake: Lake, arguments: list[str]) -> None:
    """Questions start fast and are answered where torch is not installed."""
    code = f"""
import atexit, sys
heavy = {{"torch", "timm", "PIL", "altair", "vl_convert", "sklearn", "extract", "analysis", "prompt_toolkit", "scipy"}}
heavy |= {{"rich"}} if {arguments!r} not in (["ask"], ["ask", "--schema"]) else set()  # answers do without
atexit.register(lambda: print("heavy:", *sorted(heavy & sys.modules.keys()), file=sys.stderr))
sys.argv = ["featurestore", *{arguments!r}]
from featurestore.cli.app import main
main()
"""
    done = python("-c", code, FEATURESTORE_LAKE=lake.location)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1].split() == ["heavy:"]


def test_answers_need_no_library_that_is_slow_to_import(commands: Commands) -> None:
    """In no format but parquet: a question, and SQL, with rows."""
    code = """
import contextlib, sys
from featurestore.cli.app import main
for format_ in ("table", "csv", "spreadsheet", "json", "markdown", "latex"):
    for words in (["ask", "best_detector"], ["sql", "select model, n, top1 from accuracy"]):
        sys.argv = ["featurestore", *words, "--format", format_]
        with contextlib.suppress(SystemExit):
            main()
print(*sorted({"numpy", "pyarrow", "polars", "rich"} & sys.modules.keys()))
"""
    done = python("-c", code, FEATURESTORE_LAKE=str(commands.location))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("msp") >= 6
    assert done.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize("arguments", [["status"], ["score", "--detector", "msp"]])
def test_what_has_nothing_to_do_imports_nothing_slow(commands: Commands, arguments: list[str]) -> None:
    """Neither what detectors compute with, nor what answers questions, nor what others may have installed."""
    code = f"""
import atexit, sys
slow = {{"duckdb", "pandas", "polars", "scipy.linalg", "scipy.sparse", "scipy.special"}}
atexit.register(lambda: print("slow:", *sorted(slow & sys.modules.keys()), file=sys.stderr))
sys.argv = ["featurestore", *{arguments!r}]
from featurestore.cli.app import main
main()
"""
    done = python("-c", code, FEATURESTORE_LAKE=str(commands.location))
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1].split() == ["slow:"]


@pytest.mark.parametrize("arguments", [["--help"], ["ask", "--help"], ["dataset", "add", "--help"], ["--version"]])
def test_help_is_printed_without_the_lake(arguments: list[str]) -> None:
    code = f"""
import atexit, sys
atexit.register(lambda: print("slow:", *sorted({{"numpy", "pyarrow", "duckdb", "polars"}} & sys.modules.keys()), file=sys.stderr))
sys.argv = ["featurestore", *{arguments!r}]
from featurestore.cli.app import main
main()
"""
    done = python("-c", code)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1].split() == ["slow:"]


def test_a_missing_extra_is_named(lake: Lake, tmp_path: Path) -> None:
    """Where torch is not installed, extract says what to install."""
    pytest.importorskip("timm")
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "sitecustomize.py").write_text("import sys; sys.modules['torch'] = None\n")
    path = os.pathsep.join([str(tmp_path / "blocked"), str(ROOT)])
    arguments = ["extract", "--model", "vit", "--dataset", "d", "--lake", lake.location]
    done = python("-m", "featurestore", *arguments, PYTHONPATH=path)
    needs = "Error: This command needs torch: pip install 'featurestore[extract]'.\n"
    assert (done.returncode, done.stderr) == (1, needs)


def test_lakes_are_read_without_the_libraries_of_the_analysis(commands: Lake, tmp_path: Path) -> None:
    """The core alone asks, checks and copies; what computes says what to install."""
    code = """
import os, sys
sys.modules.update(dict.fromkeys(("polars", "scipy", "threadpoolctl")))
from featurestore.cli.app import main
lake, copied = os.environ["FEATURESTORE_LAKE"], sys.argv[1]
for words in (
    ["ask", "best_detector"], ["ask", "best_detector", "--format", "csv"], ["ask", "best_detector", "--format", "json"],
    ["sql", "select count(*) from scores"], ["ask", "--schema"], ["verify"], ["verify", "--deep"], ["gc"], ["dataset", "list"],
    ["copy", lake, copied, "--quiet"], ["catalog", copied + ".duckdb"], ["status"], ["score"],
):
    sys.argv = ["featurestore", *words]
    try:
        main()
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    print("code of", words[0], code)
"""
    done = python("-c", code, str(tmp_path / "copied"), FEATURESTORE_LAKE=str(commands.location))
    codes = [line.rpartition(" ")[2] for line in done.stdout.splitlines() if line.startswith("code of")]
    assert codes == ["0"] * 11 + ["1", "1"], done.stdout + done.stderr
    assert done.stderr.count("pip install 'featurestore[analysis]'") == 2
