"""What benchmarks record, and the page that is made of it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pytest

from benchmarks import page
from benchmarks.history import changes, read
from benchmarks.record import Record, Table, arguments

if TYPE_CHECKING:
    from pathlib import Path


def recorded(history: Path, seconds: list[float]) -> None:
    """A run of three rounds, recorded."""
    record = Record("geometry", argparse.Namespace(record=True))
    with record.table("Two ways") as table:
        table.add("floor", [1.0, 2.0, 4.0])
        table.add("ours", seconds, note="warm")
        table.ratio("ours", "floor", most=1.4)
        table.absent("peer", "is not installed")
    record.close(history)


def test_the_page_is_what_the_history_gives() -> None:
    """Nobody has written on it since, and nobody has measured since without writing it."""
    assert page.PAGE.read_text(encoding="utf-8") == page.page(read()), "run `python -m benchmarks.page`"


def test_a_run_is_recorded_and_read_back(tmp_path: Path) -> None:
    """A ratio is of values of the same round, whatever the rounds are like; a limit is told with whether it was kept."""
    history = tmp_path / "history.jsonl"
    recorded(history, [1.5, 3.0, 5.0])
    (run,) = read(history)
    (table,) = run.tables
    assert table.values("ours", "ratio") == (1.5, 1.5, 1.25)
    assert run.commit
    assert run.versions["numpy"]
    text = page.page([run])
    assert "| floor | 2.00 s |  |  |" in text
    assert "| ours | 3.00 s, warm | 1.50x (1.25 to 1.50) | ≤ 1.4x: **missed** |" in text
    assert "| peer | is not installed |  |  |" in text
    assert "`python -m benchmarks.judge` has not been recorded yet" in text


def test_the_page_is_of_the_last_run_and_tells_a_slow_down(tmp_path: Path) -> None:
    """A ratio all of whose rounds lie beyond those before is told; one within them is not."""
    history = tmp_path / "history.jsonl"
    for seconds in ([1.0, 2.0, 4.4], [1.2, 2.4, 4.0], [2.0, 4.2, 9.0]):
        recorded(history, seconds)
    first, second, third = read(history)
    assert changes(second, first) == []
    assert [(old.median, new.median) for _, old, new in changes(third, second)] == [(1.2, 2.1)]
    text = page.page(read(history))
    assert f"- Two ways, ours: 1.20x (1.00 to 1.20) on {second.date[:10]}, now 2.10x (2.00 to 2.25)." in text
    assert page.page([first, second]).count("Two ways, ours") == 0


def test_small_runs_and_parts_of_runs_are_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would stand on the page in place of a whole one."""
    for given in (["--small", "--record"], ["--only", "scan", "--record"]):
        monkeypatch.setattr("sys.argv", ["bench", *given])
        parser = argparse.ArgumentParser()
        parser.add_argument("--only", default="write,scan")
        with pytest.raises(SystemExit):
            arguments(parser, rows=3)


def test_small_sets_sizes_that_were_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given counts."""
    monkeypatch.setattr("sys.argv", ["bench", "--small", "--rounds", "7"])
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = arguments(parser, rows=3, rounds=1)
    assert (options.rows, options.rounds) == (3, 7)


def test_a_table_has_a_row_for_each_thing_and_a_column_for_each_kind() -> None:
    """In the order of their coming; without limits there is no column of them."""
    table = Table("requests")
    for row in ("count", "ask"):
        table.add(row, [0.5], column="on disk")
        table.add(row, [2090], column="requests", unit="")
    assert table.grid() == [["", "on disk", "requests"], ["count", "0.50 s", "2,090"], ["ask", "0.50 s", "2,090"]]


def test_limits_say_of_which_column_they_are_where_there_are_several() -> None:
    """Else the one is that of the column of ratios, or of the times."""
    table = Table("a question")
    table.add("ask", [0.5], column="cold", most=0.4)
    table.add("ask", [0.2], column="warm", most=0.3)
    assert [row[-1] for row in table.grid()] == ["limit", "cold ≤ 0.4 s: **missed**; warm ≤ 0.3 s: kept"]
