"""What verbs take where commands take texts: one or a list, and what is said and shown meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import os

    from featurestore.progress import Bar, Bars

Names: TypeAlias = str | Sequence[str] | None
Said: TypeAlias = Callable[[str], None] | None


def listed(names: Names) -> list[str]:
    """One text or many as a list."""
    return [] if names is None else [str(names)] if isinstance(names, (str, Path)) else [str(name) for name in names]


def pairs(arguments: Mapping[str, Any] | Sequence[str] | None) -> Sequence[str]:
    """Arguments as the command takes them, `name=value` with JSON values."""
    if isinstance(arguments, Mapping):
        return [f"{name}={json.dumps(value)}" for name, value in arguments.items()]
    return arguments or ()


def path_of(place: str | os.PathLike[str] | None) -> Path | None:
    """A path, if there is one."""
    return None if place is None else Path(place)


def told(say: Said) -> Callable[[str], None]:
    """Who is told the lines that a command would print."""
    return say or (lambda _: None)


def bar_of(progress: Bars | None, title: str) -> Bar | None:
    """What shows how far the work of a title is, if anything does."""
    return partial(progress, title) if progress else None
