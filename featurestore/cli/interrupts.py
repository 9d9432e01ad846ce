"""Ctrl-C: it ends a command with one line and exit code 130, also where a library does not hear it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from functools import cache
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

CODE = 130
_PATIENCE = 5.0
"""Seconds in which a command may end on its own."""
_SENTENCE = "Interrupted; run the same command again to go on.\n"
_said = threading.Event()
_saying = threading.Lock()


@contextlib.contextmanager
def heeded() -> Iterator[None]:
    """See that the process ends soon after Ctrl-C, at once after a second one.

    Python tells of the signal between two of its own steps, and so not while a library computes; and what is raised in a callback of a
    library is lost, or becomes another error. Nothing that a lake holds is harmed by a process that just ends.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed, whatever error came of it.
    """
    _said.clear()
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    _leave_children_alone()
    threading.Thread(target=_end_when_told, args=(reader,), daemon=True).start()
    heard: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        signal.default_int_handler(number, frame)

    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, hear)
    interrupted = False
    try:
        yield
    except KeyboardInterrupt:
        interrupted = True  # whoever waits at the end, for a thread of a library, is not waited for
        raise
    except Exception as error:
        interrupted = bool(heard)
        if interrupted:
            raise KeyboardInterrupt from error
        raise
    finally:
        if signal.getsignal(signal.SIGINT) is hear:
            signal.signal(signal.SIGINT, handler)
        if not interrupted:
            signal.set_wakeup_fd(before)
            os.close(writer)


@cache
def _leave_children_alone() -> None:
    """Let a signal to a process that was forked be that one's own affair."""
    os.register_at_fork(after_in_child=unheeded)


def unheeded() -> None:
    """Let Ctrl-C be the business of whoever reads a user's lines, for the rest of the process."""
    if sys.platform != "win32":
        signal.set_wakeup_fd(-1)


def _end_when_told(reader: int) -> None:
    while (told := os.read(reader, 1)) != signal.SIGINT.to_bytes(1, "little"):
        if not told:
            os.close(reader)
            return
    if select.select([reader], [], [], _PATIENCE)[0] and not os.read(reader, 1):
        return  # the command ended on its own
    _say()
    os._exit(CODE)


def _say() -> None:
    """Once, whoever comes first: the command, or who ends it because it does not."""
    with _saying:
        if not _said.is_set():
            _said.set()
            sys.stderr.write(_SENTENCE)
            sys.stderr.flush()


def end() -> NoReturn:
    """Say that the command was interrupted, and end it."""
    _say()
    sys.exit(CODE)


def is_interrupt(error: BaseException | None) -> bool:
    """Whether an error came of Ctrl-C: DuckDB makes one of its own of it."""
    while error is not None:
        name = type(error).__name__
        if isinstance(error, KeyboardInterrupt) or name == "InterruptException" or str(error) == "Query interrupted":
            return True
        error = error.__cause__ or error.__context__
    return False
