"""The interactive prompt of `featurestore sql`: history, completion, statements over several lines."""

from __future__ import annotations

import os
import re
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer, Completion
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.lexers import PygmentsLexer
from pygments.lexers.sql import SqlLexer

from featurestore.cli.explain import schema, schema_rows
from featurestore.cli.interrupts import unheeded
from featurestore.cli.options import FORMATS, tell_age
from featurestore.cli.render import check_format, show, show_first
from featurestore.errors import LakeError, StaleWarning
from featurestore.names import pick
from featurestore.query import catalog
from featurestore.query.statements import is_complete, results

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from featurestore.lake import Lake

COMMANDS = {
    ".help": "show this",
    ".tables": "list the views, and the questions, which make tables too: from best_detector();",
    ".schema": "show what the columns of views and macros mean: all, or one, as in `.schema metrics`",
    ".format": f"show or choose the format of answers: {', '.join(FORMATS)}",
    ".quit": "leave, as Ctrl-D does",
}
_MOST_ROWS = 1000
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]*)?$")
_SOURCE = re.compile(r"\b(?:from|join)\s+([a-z_][a-z0-9_]*)(?:\s+(?:as\s+)?([a-z_][a-z0-9_]*))?", re.IGNORECASE)
_GREETING = (
    "SQL over the lake at {}: end a statement with `;`, complete with Tab, leave with Ctrl-D; .help shows more.\n"
)


@dataclass(slots=True)
class _Session:
    """A connection with the views of a lake, and the format in which answers are printed."""

    connection: duckdb.DuckDBPyConnection
    location: str
    format: str

    def run(self, text: str) -> None:
        """Run each statement, and print what it returns; of a long table, the beginning."""
        for relation in results(self.connection, text, self.location):
            if self.format != "table":
                show(relation, self.format)
                continue
            if show_first(relation, self.format, _MOST_ROWS):
                sys.stdout.write(f"These are the first {_MOST_ROWS:,}: add a LIMIT, or see all with `.format csv`.\n")


def converse(lake: Lake, format_: str, *, strict: bool = False) -> None:
    """Read statements from the terminal, and print their answers, until the user leaves.

    Raises:
        MissingError: There is no lake, or no such format.
        StorageError: The lake cannot be read.
        ConflictError: Something in it is stale, mixed or partial, and `strict` refuses that.
    """
    check_format(format_)
    with warnings.catch_warnings(record=True, action="always", category=StaleWarning) as told:
        session = _Session(lake.connect(), lake.location, format_)
    tell_age([str(one.message) for one in told], strict=strict)
    prompt: PromptSession[str] = PromptSession(
        message="lake> ",
        prompt_continuation="  ...> ",
        history=_history(),
        completer=Words(session.connection),
        complete_while_typing=False,
        lexer=PygmentsLexer(SqlLexer),
        multiline=Condition(lambda: not _is_done(prompt.default_buffer.text)),
    )
    unheeded()  # Ctrl-C ends a statement
    sys.stdout.write(_GREETING.format(lake.location))
    while _turn(prompt, session):
        pass


def _turn(prompt: PromptSession[str], session: _Session) -> bool:
    """One question and its answer; whether there is to be another."""
    try:
        text = prompt.prompt().strip()
        if text.startswith("."):
            return _command(text, session)
        session.run(text)
    except EOFError:
        return False
    except KeyboardInterrupt:
        pass
    except LakeError as error:
        sys.stdout.write(f"Error: {error}\n")
    return True


def _command(text: str, session: _Session) -> bool:
    """Run a command that is not SQL; whether the user stays."""
    name, *arguments = text.rstrip(";").split()
    pick("command", name, COMMANDS)
    argument = arguments[0] if arguments else None
    if name == ".help":
        sys.stdout.write("".join(f"{command:<8} {meaning}\n" for command, meaning in COMMANDS.items()))
    elif name == ".tables":
        sys.stdout.write("".join(f"{name:<20} {view.title}\n" for name, view in catalog.views().items()))
        sys.stdout.write("".join(f"{question}()\n" for question in catalog.questions()))
    elif name == ".schema":
        sys.stdout.write(schema(schema_rows(argument)))
    elif name == ".format":
        if argument:
            check_format(argument)
            session.format = argument
        sys.stdout.write(f"{session.format}\n")
    return name != ".quit"


def _is_done(text: str) -> bool:
    """Whether Enter ends the input: after a command, a whole statement, or nothing."""
    return not text.strip() or text.lstrip().startswith(".") or is_complete(text)


class Words(Completer):
    """What may come next in SQL that is being typed: columns of the views at hand, views, questions, functions, keywords.

    Args:
        connection: The database that reads the lake.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._functions = {
            **dict.fromkeys(_names(connection, "function_name", "duckdb_functions()"), "function"),
            **{name: macro.title for name, macro in catalog.macros().items()},
        }
        self._keywords = _names(connection, "keyword_name", "duckdb_keywords()")

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """What the word before the cursor may become, as prompt_toolkit asks for it."""
        del complete_event
        text = document.text_before_cursor
        if text.startswith("."):
            yield from (Completion(name, -len(text)) for name in COMMANDS if name.startswith(text))
            return
        for begun, word, meaning in self.complete(text):
            yield Completion(word, -len(begun), display_meta=meaning)

    def complete(self, text: str) -> Iterator[tuple[str, str, str]]:
        """What the text's last word may become, the likeliest first.

        Args:
            text: All that stands before the cursor.

        Yields:
            The word that is begun, what it may become, and what that is.
        """
        match = _WORD.search(text)
        table, dot, begun = (match[0] if match else "").rpartition(".")
        seen = set()
        for word, meaning in _columns_of(table, text) if dot else self._words(text, begun):
            if word.lower().startswith(begun.lower()) and word not in seen:
                seen.add(word)
                yield begun, word, meaning

    def _words(self, text: str, begun: str) -> Iterator[tuple[str, str]]:
        views, questions = catalog.views(), catalog.questions()
        for view in _sources(text).values():
            yield from views[view].columns.items()
        yield from ((name, view.title) for name, view in views.items())
        yield from ((f"{name}()", question.question) for name, question in questions.items())
        if begun:
            yield from (item for view in views.values() for item in view.columns.items())
            yield from ((f"{name}(", what) for name, what in self._functions.items() if name not in questions)
            yield from ((word, "") for word in self._keywords)


def _columns_of(name: str, text: str) -> Iterator[tuple[str, str]]:
    view = catalog.views().get(_sources(text).get(name.lower(), name.lower()))
    yield from view.columns.items() if view else ()


def _sources(text: str) -> dict[str, str]:
    """The views that a text names after FROM and JOIN, by their names and aliases."""
    found: dict[str, str] = {}
    for view, alias in _SOURCE.findall(text.lower()):
        if view in catalog.views():
            found |= {view: view, alias or view: view}
    return found


def _names(connection: duckdb.DuckDBPyConnection, column: str, source: str) -> list[str]:
    relation = connection.sql(f"from {source}").filter(f"regexp_full_match({column}, '[a-z][a-z0-9_]*')")
    return [str(name) for (name,) in relation.unique(column).order(column).fetchall()]


def _history() -> History:
    """What was typed before, kept in the user's state folder; where that cannot be written, for this session alone."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    file = state / "featurestore" / "sql_history"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(file))
