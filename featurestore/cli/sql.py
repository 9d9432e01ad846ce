"""`featurestore sql`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from featurestore.cli.options import FormatOption, LakeOption, open_lake
from featurestore.cli.session import run_text


def sql(
    query: Annotated[
        str | None, typer.Argument(help="A SELECT over the views; none opens a prompt, or reads a pipe.")
    ] = None,
    format_: FormatOption = "table",
    lake: LakeOption = None,
) -> None:
    """Run SQL over the lake."""
    if query is None and sys.stdin.isatty() and sys.stdout.isatty():
        from featurestore.cli.prompt import converse

        converse(open_lake(lake), format_)
    else:
        run_text(open_lake(lake), sys.stdin.read() if query is None else query, format_)
