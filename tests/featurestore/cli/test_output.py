from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any

import pexpect
import pytest

from featurestore.cli.app import root
from featurestore.cli.summaries import COMMON, SUMMARIES
from tests.featurestore.cli.test_app import shell
from tests.featurestore.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from featurestore import Lake
    from tests.conftest import Run
    from tests.pipeline import Commands


def each_command(above: Any, *words: str) -> Iterator[tuple[str, Any]]:
    for name, command in above.commands.items():
        if hasattr(command, "commands"):
            yield from each_command(command, *words, name)
        else:
            yield " ".join([*words, name]), command


def test_each_command_has_an_example_that_is_a_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands in its help as a line to copy, however narrow the terminal; all other lines fit."""
    import shlex

    monkeypatch.setenv("COLUMNS", "60")
    for words, _ in each_command(root()):
        code, out, _ = run(*words.split(), "--help")
        examples = re.findall(r"^ +(featurestore .*)$", out, re.MULTILINE)
        assert (code, len(examples) >= 1) == (0, True), words
        others = [line for line in out.splitlines() if line.strip() not in examples]
        assert [line for line in others if len(line) > 60 and "Usage" not in line] == [], words
        for example in examples:
            named, arguments = root(), shlex.split(example)[1:]
            assert arguments[: len(words.split())] == words.split()
            while hasattr(named, "commands"):
                named = named.commands[arguments.pop(0)]
            named.make_context("example", arguments)  # raises where an option is unknown or an argument missing


def test_each_command_says_what_its_object_holds() -> None:
    assert set(SUMMARIES) == {words for words, _ in each_command(root())}
    assert not any(set(COMMON) & set(own) for own in SUMMARIES.values())


def told(out: str, words: str) -> dict[str, Any]:
    """The object that is all there is on standard output."""
    assert out.count("\n") == 1, out
    found = json.loads(out)
    assert found["command"] == words
    assert set(found) >= set(COMMON)
    return dict(found)


LOOKS = {
    "dataset list": [],
    "benchmark list": [],
    "model list": [],
    "detector list": [],
    "ask": ["best_detector"],
    "sql": ["from models"],
    "status": [],
    "verify": ["--deep"],
    "gc": ["--dry-run"],
    "cache": None,
    "catalog": ["lake.duckdb"],
    "copy": ["LAKE", "copied"],
    "extract": ["--pool", "POOL"],
    "score": ["--detector", "msp"],
    "judge": ["TEST", "--model", "a", "--detector", "msp"],
    "model set": ["a", "weight_decay=0.5", "--dry-run"],
    "model rename": ["a", "c", "--dry-run"],
    "dataset set": ["far", "--group", "far", "--dry-run"],
    "dataset remove": ["far", "--dry-run"],
    "detector remove": ["msp", "--dry-run"],
    "benchmark rename": ["main", "other", "--dry-run"],
}


def test_the_object_of_each_command_holds_what_is_documented(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing else, alone on standard output; what is said for people goes beside it."""
    monkeypatch.chdir(tmp_path)
    places = {"LAKE": commands.location, "POOL": commands.folder / "models/pool.csv", "TEST": commands.folder / "test"}
    found = {}
    for words, arguments in LOOKS.items():
        outcome = commands(*words.split(), *(places.get(text, text) for text in arguments or ()), "--json")
        assert outcome.code == 0, (words, outcome.err)
        found[words] = told(outcome.out, words)
        assert set(found[words]) - set(COMMON) == set(SUMMARIES[words]) - ({"file"} if words == "ask" else set()), words
        assert (found[words]["exit_code"], found[words]["error"]) == (0, None)
    assert {row["dataset"] for row in found["dataset list"]["rows"]} == {"train", "test", "far", "unit-tests"}
    assert (found["extract"]["extracted"], found["extract"]["reused"]) == (0, 8)
    assert len(found["judge"]["rows"]) == 36
    assert found["verify"]["faults"] == []
    assert found["copy"]["partitions"] > 0 == found["copy"]["there"]
    assert set(found["status"]["states"]) <= {"fresh", "stale", "missing"}


def test_an_error_is_in_the_object_and_in_words(run: Run, four: Lake) -> None:
    """Exit codes are the same ones; usage is shown for people."""
    code, out, err = run("ask", "best_detectr", "--json", "--lake", four.location)
    found = told(out, "ask")
    assert (code, found["exit_code"], err) == (1, 1, f"Error: {found['error']}\n")
    assert "did you mean 'best_detector'" in found["error"]
    code, out, err = run("ask", "--nope", "--json")
    assert (code, json.loads(out)["exit_code"], "Usage" in err) == (2, 2, True)
    code, out, _ = run("sql", "select 1; select 2", "--json", "--lake", four.location)
    assert (code, "one answer" in json.loads(out)["error"]) == (1, True)
    code, out, _ = run("sql", "select 1", "--format", "csv", "--json", "--lake", four.location)
    assert (code, "leave out --format" in json.loads(out)["error"]) == (1, True)


def test_after_two_dashes_nothing_is_an_option_of_all(run: Run, four: Lake) -> None:
    code, _, err = run("ask", "--lake", four.location, "--", "--json")
    assert (code, "There is no question '--json'" in err) == (1, True)


def test_quiet_leaves_answers_remarks_and_errors(run: Run, four: Lake, lake: Lake, tmp_path: Path) -> None:
    """What a command found is its answer; how it went is not."""
    assert run("catalog", str(tmp_path / "x.duckdb"), "--lake", four.location, "--quiet") == (0, "", "")
    assert run("--quiet", "sql", "select 1 as x", "--format", "csv", "--lake", four.location)[:2] == (0, "x\n1\n")
    (tmp_path / "lake/models/model=a").mkdir(parents=True)
    (tmp_path / "lake/models/model=a/_manifest.1.json").write_text("{")
    code, out, _ = run("verify", "--quiet", "--lake", lake.location)
    assert (code, out.count("\n"), "model=a" in out) == (1, 1, True)
    code, out, err = run("verify", "--quiet", "--json", "--lake", lake.location)
    assert (code, len(told(out, "verify")["faults"]), err.count("\n")) == (1, 1, 1)
    assert run("ask", "nope", "--quiet", "--lake", four.location)[2].startswith("Error: ")


def test_who_is_not_read_to_the_end_ends_as_a_shell_expects(four: Lake) -> None:
    """Lists and lines, too."""
    assert shell("featurestore ask | true") == (141, "", "")
    assert shell(f"featurestore ask --schema --lake {four.location} | true") == (141, "", "")


BAR = "from featurestore.progress import progress\nwith progress('x', 2) as advance: advance(1)"


@pytest.mark.once
def test_colours_are_for_terminals_that_want_them(four: Lake) -> None:
    """Not for those of NO_COLOR, and not for pipes."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    seen = {}
    for wish in ("", "1"):
        shown = pexpect.run(f'{sys.executable} -c "{BAR}"', env={**environment, "NO_COLOR": wish}, timeout=60)
        seen[wish] = bool(re.search(rb"\x1b\[[0-9;]*3[0-8][0-9;]*m", shown))
    assert seen == {"": True, "1": False}
    assert "\x1b" not in shell(f"featurestore ask --lake {four.location}", TERM="xterm-256color")[1]
