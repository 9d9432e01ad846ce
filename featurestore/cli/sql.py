"""`featurestore sql`: an argument, a pipe, or a prompt."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from featurestore.cli.options import FormatOption, LakeOption, open_lake
from featurestore.cli.render import check_format, show
from featurestore.errors import InputError
from featurestore.query import statements

if TYPE_CHECKING:
    from featurestore.lake import Lake


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
        _run(open_lake(lake), sys.stdin.read() if query is None else query, format_)


def _run(lake: Lake, text: str, format_: str) -> None:
    """Run SQL that is known as a whole, with the views that it needs, and print what each statement returns."""
    check_format(format_)
    lake.check_exists()
    if not text.strip():
        raise InputError(
            'There is no SQL: give it as an argument, as in `featurestore sql "from metrics"`, or in a pipe.'
        )
    for relation in statements.results(statements.connect_for(lake.storage, text), text, lake.location):
        show(relation, format_)
