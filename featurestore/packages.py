"""Packages as the command imports them.

Those beside this one, `extract` and `analysis`, have names that are common, so that another module may hide them. And pyarrow imports
pandas, which takes a second, as soon as it is given a list, if only to see whether it is one of pandas' columns.
"""

from __future__ import annotations

import sys
from functools import partial
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec

_OURS = ("analysis", "extract")
_FOLDER = Path(__file__).parents[1]


class _Guard:
    """Looks, before any other finder and before a line is run, which file an import of ours would read."""

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if name in _OURS:
            check_ours(name)
        return None


class _PyarrowAlone:
    """Lets pyarrow, once it is imported, look for pandas while there is none: it looks once, and again when a table is to become pandas'."""

    def __init__(self) -> None:
        self._is_hidden = False

    def find_spec(self, name: str, path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        if name == "pandas" and self._is_hidden:
            raise ModuleNotFoundError(name=name)
        found = PathFinder.find_spec(name, path) if name == "pyarrow" else None
        if found is not None and found.loader is not None:
            vars(found.loader)["exec_module"] = partial(self._run, found.loader.exec_module)
        return found

    def _run(self, run: Callable[[Any], None], module: Any) -> None:
        run(module)
        if "pandas" in sys.modules:  # perhaps half imported, since it imports pyarrow
            return
        self._is_hidden = True
        try:
            module.array([])
        finally:
            self._is_hidden = False


_GUARD, _PYARROW_ALONE = _Guard(), _PyarrowAlone()


def guard() -> None:
    """Let every later import of ours that would read another module's file raise what `check_ours` does."""
    if _GUARD not in sys.meta_path:
        sys.meta_path.insert(0, _GUARD)


def start_without_pandas() -> None:
    """Let pyarrow not import pandas until a table is to become one of pandas'; for commands, since programs may hand it columns of pandas'."""
    if _PYARROW_ALONE not in sys.meta_path:
        sys.meta_path.insert(0, _PYARROW_ALONE)


def check_ours(name: str) -> None:
    """Raise if Python would import another module in the place of ours.

    Args:
        name: `analysis` or `extract`.

    Raises:
        InputError: It would; the message names its file.
    """
    found = PathFinder.find_spec(name)
    if found is None or found.origin is None:
        return
    file = Path(found.origin)
    if file.resolve() != (_FOLDER / name / "__init__.py").resolve():
        raise InputError(
            f"{file} hides the package {name!r} that comes with featurestore: rename it, or keep its folder off "
            "Python's path (PYTHONPATH)."
        )


def leave_working_folder() -> None:
    """Take the folder that `python -m` puts first off Python's path, unless this package itself was found there."""
    if not sys.flags.safe_path and Path(sys.path[0]) == Path.cwd() != _FOLDER:
        del sys.path[0]
