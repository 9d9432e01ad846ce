"""What can be asked, as text: the list of questions, and one of them in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from featurestore.names import pick

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from featurestore.sqlfile import SqlFile


def overview(questions: Mapping[str, SqlFile]) -> RenderableType:
    """All questions by topic."""
    tables: list[RenderableType] = []
    for topic in sorted({question.topic for question in questions.values()}):
        table = Table("question", "what it answers", title=topic, title_justify="left", box=None, pad_edge=False)
        table.columns[0].no_wrap = True
        for name, question in questions.items():
            if question.topic == topic:
                table.add_row(name, question.question)
        tables += [table, Text()]
    return Group(
        *tables, Text("Ask one with `featurestore ask NAME`; `--explain` shows its parameters, columns and SQL.")
    )


def explanation(name: str, questions: Mapping[str, SqlFile]) -> str:
    """One question in full: what it answers, parameters, columns, SQL.

    Raises:
        MissingError: There is no such question; the message names the nearest.
    """
    question = questions[pick("question", name, questions)]
    parameters = [f"  --param {p.name}={p.default}   ({p.type}) {p.description}" for p in question.parameters.values()]
    columns = [f"  {column}: {text}" for column, text in question.columns.items()]
    body = "\n".join(line for line in question.sql.splitlines() if not line.startswith("--"))
    lines = [question.title, "", question.question]
    if question.finding:
        lines += [f"Published finding: {question.finding}"]
    lines += ["", "Parameters", *(parameters or ["  none"]), "", "Columns", *columns, "", "SQL", body, ""]
    return "\n".join(lines)
