from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from analysis.charts.answer_plot import chart, write_plot
from featurestore import InputError
from featurestore.query import library

if TYPE_CHECKING:
    from collections.abc import Callable

    from featurestore.sql_text.header import SqlFile

    Command = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parents[3]
FRAME = pl.DataFrame(
    {
        "model": ["a", "b", "a", "b"],
        "set.name": ["far", "far", "near", "near"],
        "pretraining": ["in1k", None, "in1k", None],
        "accuracy": [0.5, 0.75, 0.5, 0.75],
        "difference": [-0.25, 0.25, 0.5, None],
        "worst": [["x"], [], None, ["y", "z"]],
    }
)


def question(plot: str) -> SqlFile:
    columns = "".join(f"-- column {name}: What {name} is\n" for name in FRAME.columns)
    line = f"-- plot: {plot}\n" if plot else ""
    return library.read_question(f"-- title: A study\n{line}{columns}select 1", "study", "mine/study.sql")


def drawn(plot: str) -> dict[str, Any]:
    found: dict[str, Any] = chart(FRAME, question(plot)).to_dict()
    return found


def test_a_scatter_has_a_point_per_row() -> None:
    """Numbers on axes that need not begin at zero, texts as colours; what is unknown is called so; all columns on hover."""
    found = drawn("x=accuracy y=difference color=pretraining shape=model")
    (rows,) = found["datasets"].values()
    assert [row["pretraining"] for row in rows] == ["in1k", "unknown"] * 2
    assert found["mark"]["type"] == "point"
    assert found["title"] == "A study"
    encoding = found["encoding"]
    types = [encoding[name]["type"] for name in ("x", "y", "color", "shape")]
    assert types == ["quantitative", "quantitative", "nominal", "nominal"]
    assert encoding["x"]["title"] == "accuracy: What accuracy is"
    assert [tooltip["title"] for tooltip in encoding["tooltip"]] == FRAME.columns[:-1]


def test_names_go_on_an_axis_in_the_answers_order() -> None:
    """A text column as y has a line per value."""
    y = drawn("x=accuracy y=set.name")["encoding"]["y"]
    assert (y["type"], y["field"], y["sort"]) == ("nominal", "set\\.name", None)


def test_a_heatmap_has_a_panel_for_what_is_left_over() -> None:
    """Cells that would lie on each other are told apart by the column that tells their rows apart."""
    found = drawn("heatmap x=model y=pretraining color=difference")
    assert found["facet"]["field"] == "set\\.name"
    assert found["spec"]["mark"]["type"] == "rect"
    assert found["spec"]["encoding"]["color"]["scale"]["domainMid"] == 0
    alone = drawn("heatmap x=model y=set.name color=accuracy")
    assert "facet" not in alone
    assert "domainMid" not in alone["encoding"]["color"]["scale"]


def test_no_rows_and_no_plot_are_said(tmp_path: Path) -> None:
    """Nothing is drawn, and nothing is written."""
    with pytest.raises(InputError, match="The answer to study has no rows: there is nothing to draw"):
        write_plot(FRAME.head(0), question("x=accuracy y=difference"), tmp_path / "x.png")
    with pytest.raises(InputError, match=r"mine/study\.sql names no plot"):
        write_plot(FRAME, question(""), tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def command(run: Command, tmp_path: Path) -> Command:
    """`featurestore ask` with a folder of questions, of published numbers."""
    (tmp_path / "mine").mkdir()
    columns = "-- param detector text = vim: The detector\n-- column accuracy: A\n-- column fpr95: F\n"
    query = f"{columns}select accuracy, fpr95 from published where detector = $detector\n"
    (tmp_path / "mine" / "drawn.sql").write_text(f"-- title: Published\n-- plot: x=accuracy y=fpr95\n{query}")
    cells = "-- title: Published\n-- plot: heatmap x=accuracy y=fpr95 color=fpr95\n"
    (tmp_path / "mine" / "cells.sql").write_text(cells + query)
    (tmp_path / "mine" / "plain.sql").write_text(f"-- title: Published\n{query}")
    return partial(run, "ask", "--published", "--questions", "mine")


def test_the_command_draws_by_suffix(command: Command) -> None:
    """A page without a word from elsewhere, two kinds of image, and a name of its own where none is given."""
    for arguments, file, start in (
        (["drawn", "--plot", "x.png"], "x.png", b"\x89PNG"),
        (["--plot", "x.svg", "drawn"], "x.svg", b"<svg"),
        (["drawn", "--plot"], "drawn.html", b"<!DOCTYPE html>"),
        (["drawn", "--plot", "--param", "detector=msp"], "drawn.html", b"<!DOCTYPE html>"),
        (["drawn", "--plot", "x.svg", "--color", "fpr95"], "x.svg", b"<svg"),
    ):
        assert command(*arguments) == (0, f"{file}: 44 rows drawn\n", "")
        data = Path(file).read_bytes()
        assert (b"fpr95</text>" in data) is ("--color" in arguments) or not file.endswith(".svg")
        assert data.lstrip().startswith(start)
        Path(file).unlink()
        if file.endswith(".html"):
            assert b'src="http' not in data
            assert b'href="http' not in data


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["drawn", "--plot", "x.jpg"], "There is no picture format '.jpg': did you mean '.png'?"),
        (["drawn", "--plot", "x"], "There is no picture format ''"),
        (["drawn", "--plot", "no/x.png"], "make it, or draw elsewhere."),
        (["plain", "--plot", "x.png"], "plain has no plot: its header names none; ask for its rows without --plot."),
        (
            ["drawn", "--plot", "x.png", "--color", "acuracy"],
            "no column of the answer 'acuracy': did you mean 'accuracy'?",
        ),
        (["drawn", "--color", "accuracy"], "--color is for a drawing: give --plot, too."),
        (["cells", "--plot", "x.png", "--color", "accuracy"], "cells are coloured by their value: leave out --color."),
        (["drawn", "--plot", "x.png", "--param", "detector=no"], "has no rows: there is nothing to draw."),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(command: Command, arguments: list[str], message: str) -> None:
    """Nothing is written, and the reason is plain."""
    before = sorted(Path().iterdir())
    code, out, err = command(*arguments)
    assert (code, out) == (1, "")
    assert message in err
    assert sorted(Path().iterdir()) == before


def test_a_missing_library_is_named(command: Command, tmp_path: Path) -> None:
    """Without the extra `report`, all but pictures works, and what to install is said."""
    del command  # for its folder of questions
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "sitecustomize.py").write_text("import sys; sys.modules['altair'] = None\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "blocked"), str(ROOT)])}
    asked = ["-m", "featurestore", "ask", "drawn", "--published", "--questions", "mine", "--plot", "x.png"]
    done = subprocess.run(
        [sys.executable, *asked], check=False, capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: This command needs altair: pip install 'featurestore[report]'.\n"
