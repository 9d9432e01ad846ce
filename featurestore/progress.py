"""Progress of long work: a bar with rate and ETA on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from rich.console import Console
    from rich.progress import Progress, Task
    from rich.text import Text

    Bar: TypeAlias = Callable[[int], AbstractContextManager[Callable[[int], None]]]
    """Of work that has a title already: is told how many steps there are."""
    Bars: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]

_SECONDS_BETWEEN_LINES = 10.0


_SHOWN = [True]


def show_bars(*, yes: bool) -> None:
    """Whether `progress` shows anything in this process from now on."""
    _SHOWN[0] = yes


@contextlib.contextmanager
def progress(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far a piece of work is, on standard error.

    Args:
        description: A few words.
        total: Steps in all.

    Yields:
        A function to call with the number of steps just done.
    """
    if not _SHOWN[0]:
        yield lambda _steps: None
        return
    from rich.console import Console  # slow to import, and every command imports this module

    console = Console(stderr=True)
    if console.is_terminal or console.is_jupyter:
        with _bar(console) as bar:
            task = bar.add_task(description, total=total)
            yield lambda steps: bar.advance(task, steps)
    else:
        yield _Lines(description, total).advance


def _bar(console: Console) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f}/s" if task.speed else "")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)


@contextlib.contextmanager
def no_bar(_description: str, _total: int) -> Iterator[Callable[[int], None]]:
    """What takes the place of `progress` for callers that show none."""
    yield lambda _steps: None


@contextlib.contextmanager
def silent_bar(_total: int) -> Iterator[Callable[[int], None]]:
    """The same for work that has a title already."""
    yield lambda _steps: None


class _Lines:
    def __init__(self, description: str, total: int) -> None:
        self._description, self._total, self._done = description, total, 0
        self._start = self._last = time.monotonic()

    def advance(self, steps: int) -> None:
        self._done += steps
        now = time.monotonic()
        if now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = now
        rate = self._done / (now - self._start)
        left = (self._total - self._done) / rate if rate else 0
        sys.stderr.write(f"{self._description}: {self._done:,} of {self._total:,}, {rate:,.0f}/s, {left:,.0f} s left\n")
        sys.stderr.flush()
