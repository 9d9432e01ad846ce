"""What a command says: lines on its work, its answer, remarks beside it; with --quiet less, with --json as one object at the end."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn

from featurestore.errors import InputError
from featurestore.progress import show_bars
from featurestore.shown_text import shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from featurestore.edit import Edit

QUIET, AS_JSON, DEBUG = "--quiet", "--json", "--debug"
FOR_ALL = {
    QUIET: "no progress, and no lines on the work; answers, remarks and errors stay",
    AS_JSON: "one JSON object on standard output at the end; lines go to standard error",
    DEBUG: "the traceback of an error",
}
"""Options that any command takes, anywhere before a `--`."""
READER_GONE = 141
"""The exit code of a command whose reader has read enough, as `head` has: a shell's for SIGPIPE."""


@dataclass(slots=True)
class _Output:
    """What was asked for, and what is told so far.

    Attributes:
        options: Those of `FOR_ALL` that were given.
        command: The command's words; empty until one is run.
        depth: How many commands are under way: the demo runs others.
        values: What the JSON object will hold of the command's own.
        remarks: What was said aside.
        start: When it began.
    """

    options: frozenset[str] = frozenset()
    command: str = ""
    depth: int = 0
    values: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    start: float = field(default_factory=time.monotonic)


_OUTPUT = [_Output()]
"""One alone: that of the command that this process runs."""


def begin(arguments: Sequence[str]) -> list[str]:
    """Take the options that any command takes out of a command's arguments, and follow them from now on."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    _OUTPUT[0] = _Output(frozenset(FOR_ALL) & set(arguments[:end]))
    show_bars(yes=not given(QUIET))
    return [argument for place, argument in enumerate(arguments) if place >= end or argument not in FOR_ALL]


def given(option: str) -> bool:
    """Whether one of `FOR_ALL` was given."""
    return option in _OUTPUT[0].options


def entered(command: str) -> None:
    """A command begins, which the JSON object is about, unless it is one that another runs."""
    output = _OUTPUT[0]
    output.command = output.command or command
    output.depth += 1


def left() -> None:
    """The command that began last has ended."""
    _OUTPUT[0].depth -= 1


def tell(**values: Any) -> None:
    """Tell what the JSON object is to hold of what a command did; of one that another runs, nothing."""
    if _OUTPUT[0].depth == 1:
        _OUTPUT[0].values.update(values)


def wants_rows() -> bool:
    """Whether an answer's rows belong into the JSON object, in the place of its text."""
    return given(AS_JSON) and _OUTPUT[0].depth == 1


def tell_edit(edit: Edit, *, dry_run: bool) -> None:
    """Tell how much an edit changes."""
    tell(commits=len(edit.steps), dry_run=dry_run)


def tell_refused(reasons: Mapping[str, str]) -> None:
    """Say why models, datasets or detectors were left out, by their names."""
    for name, reason in reasons.items():
        say_aside(f"{name} was left out: {reason}")
    tell(refused=reasons)


def tell_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Tell an answer's rows, of which the object has room for one lot.

    Raises:
        InputError: There are others already, of an earlier statement.
    """
    if "rows" in _OUTPUT[0].values:
        raise InputError(f"{AS_JSON} has room for one answer: give one statement, or --format json.")
    tell(rows=rows)


def say(line: str) -> None:
    """Print a line on the work at once: nothing with --quiet, on standard error with --json."""
    if not given(QUIET):
        answer(f"{shown(line)}\n")


def answer(text: str) -> None:
    """Print what was asked for: on standard error with --json, for people."""
    _write(sys.stderr if given(AS_JSON) else sys.stdout, text)


def say_aside(line: str) -> None:
    """Print a line beside the answer, on standard error."""
    _OUTPUT[0].remarks.append(shown(line))
    _write(sys.stderr, f"{shown(line)}\n")


def finish(code: int, error: str | None = None) -> None:
    """Print the JSON object, if one was asked for and a command was run."""
    output = _OUTPUT[0]
    if not given(AS_JSON) or not (output.command or error):
        return
    common = {
        "command": output.command,
        "exit_code": code,
        "error": None if error is None else shown(error),
        "remarks": output.remarks,
        "seconds": round(time.monotonic() - output.start, 3),
    }
    # In ASCII, so that any terminal shows it and any pipe takes it.
    _write(sys.stdout, f"{json.dumps(jsonable({**common, **output.values}), allow_nan=False)}\n")


def jsonable(value: Any) -> Any:
    """What JSON can hold of a value: it has no NaN, no infinity, no dates, and one kind of number."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def _write(stream: TextIO, text: str) -> None:
    """Write all of a text now; where nobody reads any more, the command ends without a word."""
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        end_unread()


def end_unread() -> NoReturn:
    """End the command as the system ends others whose reader is gone."""
    for stream in (sys.stdout, sys.stderr):  # Python's own end would try again, and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(READER_GONE)
