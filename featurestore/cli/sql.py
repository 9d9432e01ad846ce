"""`featurestore sql`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from featurestore.cli.options import FormatOption, LakeOption, open_lake
from featurestore.cli.render import show


def sql(
    query: Annotated[
        str | None, typer.Argument(help="A SELECT over the views; none opens a prompt, or reads a pipe.")
    ] = None,
    format_: FormatOption = "table",
    lake: LakeOption = None,
) -> None:
    """Run SQL over the lake."""
    if query is not None:
        show(open_lake(lake).sql(query), format_)
    elif sys.stdin.isatty() and sys.stdout.isatty():
        from featurestore.cli.prompt import converse

        converse(open_lake(lake), format_)
    else:
        from featurestore.cli.session import run_piped

        run_piped(open_lake(lake), format_)
