"""`featurestore sql` with no argument, in a real pseudo-terminal; and fed by a pipe."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pyte
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from featurestore import Lake

ROOT = Path(__file__).parents[3]
LINES, COLUMNS = 40, 120


class Terminal:
    """A user at a terminal: what is typed, and what stands on the screen."""

    def __init__(self, lake: Lake, state: Path) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm",
            "XDG_STATE_HOME": str(state),
            "PROMPT_TOOLKIT_NO_CPR": "1",  # nobody answers where the cursor is
        }
        arguments = ["-m", "featurestore", "sql", "--lake", lake.location]
        self.child = pexpect.spawn(
            sys.executable, arguments, env=environment, encoding="utf-8", timeout=60, dimensions=(LINES, COLUMNS)
        )
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.stream = pyte.Stream(self.screen)
        self.wait(lambda lines: lines[-1] == "lake>")

    @property
    def lines(self) -> list[str]:
        """What stands on the screen, without empty lines."""
        return [line.rstrip() for line in self.screen.display if line.strip()] or [""]

    def wait(self, done: Callable[[list[str]], bool]) -> list[str]:
        """Read what the program writes until the screen is as it should be."""
        deadline = time.monotonic() + 60
        while not done(self.lines):
            assert time.monotonic() < deadline, "\n".join(self.lines)
            with contextlib.suppress(pexpect.TIMEOUT):
                self.stream.feed(self.child.read_nonblocking(1 << 16, timeout=1))
        return self.lines

    def ask(self, text: str) -> str:
        """Clear the screen, type a text and Enter, and return what stands above the next prompt."""
        self.screen.reset()
        self.child.send(f"{text}\r")
        return "\n".join(self.wait(lambda lines: lines[-1] == "lake>" and len(lines) > 1)[:-1])

    def complete(self, text: str, until: str) -> None:
        """Type a text and Tab, wait for a line, and throw it away with Ctrl-C."""
        self.child.send(f"{text}\t")
        self.wait(lambda lines: f"lake> {until}" in lines)
        self.child.send("\x03")
        self.wait(lambda lines: lines[-1] == "lake>")

    def end(self, keys: str) -> int:
        """Type, wait for the program to end, and return its exit code."""
        self.child.send(keys)
        self.child.expect(pexpect.EOF)
        self.child.close()
        return int(self.child.exitstatus)


@pytest.fixture
def terminal(four: Lake, tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(four, tmp_path)
    yield opened
    opened.child.close(force=True)


def test_a_conversation(terminal: Terminal, four: Lake, tmp_path: Path) -> None:
    """Statements over lines, errors that end nothing, commands, Ctrl-C, Ctrl-D, and history that the next session has."""
    assert "│   6 │" in terminal.ask("select 1 + 5 as six;")
    terminal.child.send("select count(*) * 111\r")
    terminal.wait(lambda lines: lines[-1] == "  ...>")
    assert "444" in terminal.ask("from models;")
    assert "Error: DuckDB refuses the query: there is no table 'modles': did you mean 'models'?" in terminal.ask(
        "from modles;"
    )
    assert "Error: There is no command '.tabels': did you mean '.tables'?" in terminal.ask(".tabels")
    assert "metrics: Metrics: how well each detector of each model" in terminal.ask(".schema metrics")
    assert "best_detector()" in terminal.ask(".tables")
    assert ".quit    leave, as Ctrl-D does" in terminal.ask(".help")
    assert "csv" in terminal.ask(".format csv").splitlines()
    assert terminal.ask("select 7 as a, 8 as b;").endswith("\na,b\n7,8")
    assert "Error: There is no format 'cvs': did you mean 'csv'?" in terminal.ask(".format cvs")
    terminal.ask(".format parquet")
    assert "Error: Parquet is not for a terminal" in terminal.ask("select 1;")
    terminal.ask(".format csv")
    terminal.child.send("select 'never run'")
    terminal.wait(lambda lines: lines[-1] == "lake> select 'never run'")
    assert terminal.ask("\x03create table mine as select 9 as x; from mine;").endswith("\nx\n9")
    assert terminal.ask("select model from accuracy where top1 > 0.85;").endswith("\nmodel\nc")
    assert terminal.end("\x04") == 0
    again = Terminal(four, tmp_path)
    again.child.send("\x1b[A")
    again.wait(lambda lines: lines[-1] == "lake> select model from accuracy where top1 > 0.85;")
    assert again.end("\x03\x04") == 0


def test_tab_completes(terminal: Terminal) -> None:
    """A view; a column of the view at hand, by its alias too; a question; a command."""
    terminal.complete("select * from accur", "select * from accuracy")
    terminal.complete("from accuracy as a select a.top5", "from accuracy as a select a.top5")
    terminal.complete("from metrics select ood_cl", "from metrics select ood_class")
    terminal.complete("from high_acc", "from high_accuracy_failures()")
    terminal.complete(".sch", ".schema")


def test_quit_leaves(terminal: Terminal) -> None:
    assert terminal.end(".quit\r") == 0


def test_a_long_table_is_cut(terminal: Terminal) -> None:
    """The screen is not flooded; what to do is said."""
    assert "These are the first 1,000: add a LIMIT" in terminal.ask("from range(2000);")
