"""A study as a command: `python -m analysis.studies.NAME --lake LAKE [--out FILE]`."""

from __future__ import annotations

import argparse
import inspect
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import altair as alt
import duckdb

from analysis.charts.drawing_files import write_chart
from featurestore.errors import LakeError, StaleWarning
from featurestore.lake import Lake
from featurestore.names import pick
from featurestore.query.catalog import unreadable
from featurestore.shown_text import plain
from featurestore.staging import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

_SUFFIXES = (".html", ".json", ".png", ".svg", ".csv")


def run(
    data: Callable[..., pl.DataFrame],
    chart: Callable[[pl.DataFrame], alt.TopLevelMixin],
    argv: Sequence[str] | None = None,
) -> None:
    """Print a study's table, or write its chart.

    Args:
        data: From a lake to the tidy frame; its further arguments, texts and numbers, become options.
        chart: From that frame to the chart.
        argv: The command line; by default this process's.
    """
    parser = argparse.ArgumentParser(description=(inspect.getdoc(inspect.getmodule(data)) or "").partition("\n")[0])
    parser.add_argument("--lake", help="folder or URL of the lake; by default $FEATURESTORE_LAKE, else ./lake")
    parser.add_argument("--out", help="file to write: .html, .json, .png or .svg, or .csv for the table")
    for parameter in list(inspect.signature(data).parameters.values())[1:]:
        kind = int if isinstance(parameter.default, int) else float if isinstance(parameter.default, float) else str
        parser.add_argument(f"--{parameter.name.replace('_', '-')}", default=parameter.default, type=kind)
    options: dict[str, Any] = vars(parser.parse_args(argv))
    location, out = options.pop("lake"), options.pop("out")
    try:
        with warnings.catch_warnings(record=True, action="always", category=StaleWarning) as told:
            frame = data(Lake(location).current(), **options)
    except LakeError as error:
        sys.exit(f"Error: {error}")
    except duckdb.IOException as error:
        sys.exit(f"Error: {unreadable(error)}")
    for sentence in dict.fromkeys(str(one.message) for one in told):
        sys.stderr.write(f"Note: {sentence}\n")
    if out is None:
        sys.stdout.write(f"{plain(str(frame))}\n")
        return
    if frame.is_empty() and not out.endswith(".csv"):
        rows = (inspect.getdoc(data) or "").partition("\n")[0]
        sys.exit(f"Error: There is nothing to draw: the table has no rows. {rows}")
    try:
        _write(frame, chart, Path(out))
    except LakeError as error:
        sys.exit(f"Error: {error}")
    except OSError as error:
        sys.exit(f"Error: Cannot write {out}: {error.strerror}.")


def _write(frame: pl.DataFrame, chart: Callable[[pl.DataFrame], alt.TopLevelMixin], out: Path) -> None:
    if pick("kind of file", out.suffix, _SUFFIXES) == ".csv":
        write_whole(out, frame.write_csv().encode())
        return
    with alt.data_transformers.enable("default", max_rows=None):
        write_chart(chart(frame), out)
