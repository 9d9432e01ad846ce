"""What `featurestore ask` does, apart from its options: list, explain, answer."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featurestore.cli import render
from featurestore.errors import InputError
from featurestore.machine import collector_paused
from featurestore.query import answer
from featurestore.query.library import Library, library

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import polars as pl

    from featurestore.lake import Lake
    from featurestore.query.filters import Filters
    from featurestore.query.header import SqlFile

    Draw = Callable[[pl.DataFrame, SqlFile], None]


@dataclass(frozen=True, slots=True)
class Source:
    """Whom is asked, and what can be.

    Attributes:
        lake: The lake; None where the published numbers are enough.
        folder: A folder with the user's own questions.
    """

    lake: Lake | None
    folder: Path | None

    def library(self) -> Library:
        """The questions that this source can answer."""
        found = library(self.lake.storage if self.lake else None, self.folder)
        if self.lake:
            return found
        return Library({n: q for n, q in found.questions.items() if answer.needs_no_lake(q)}, found.broken)


def list_questions(source: Source) -> None:
    """Print all questions by topic."""
    from rich.console import Console  # slow to import, and answers do without

    from featurestore.cli import explain

    Console().print(explain.overview(source.library()))


def explain_question(source: Source, name: str) -> None:
    """Print one question in full."""
    from featurestore.cli import explain

    sys.stdout.write(explain.explanation(source.library().pick(name)))


def show_schema(name: str | None, format_: str) -> None:
    """Print every view and macro, or one, with its columns and their meanings."""
    from featurestore.cli import explain

    rows = explain.schema_rows(name)
    if format_ == "table":
        sys.stdout.write(explain.schema(rows))
    else:
        import polars as pl

        render.show_frame(pl.DataFrame(rows), format_)


def answer_question(
    source: Source,
    name: str,
    parameters: Mapping[str, str],
    filters: Filters,
    format_: str,
    *,
    draw: Draw | None = None,
) -> None:
    """Print the answer to a question, or draw it; what was left out goes to standard error."""
    render.check_format(format_)
    question = _find(source, name)
    if draw and question.plot is None:
        raise InputError(f"{name} has no plot: its header names none; ask for its rows without --plot.")
    storage, location = None, ""
    if source.lake:
        source.lake.check_exists()
        storage, location = source.lake.storage, source.lake.location
    with collector_paused():
        answered = answer.answer(storage, question, parameters, filters, location=location)
        frame = render.fetch(answered.relation, f"the question {question.origin}")
    for note in [*answered.notes, *(answered.why_empty(location) if frame.is_empty() else ())]:
        sys.stderr.write(f"Note: {note}\n")
    if draw:
        draw(frame, question)
    else:
        render.show_frame(frame, format_)


def _find(source: Source, name: str) -> SqlFile:
    """The question of that name, also where this source cannot answer it: then it says what it lacks."""
    if source.lake is None:
        return library(None, source.folder).pick(name)
    return source.library().pick(name)
