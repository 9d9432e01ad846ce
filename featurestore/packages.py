"""The packages beside this one, `extract` and `analysis`: their names are common, so another module may hide them."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.errors import InputError

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

_OURS = ("analysis", "extract")
_FOLDER = Path(__file__).parents[1]


class _Guard:
    """Looks, before any other finder and before a line is run, which file an import of ours would read."""

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if name in _OURS:
            check_ours(name)
        return None


_GUARD = _Guard()


def guard() -> None:
    """Let every later import of ours that would read another module's file raise what `check_ours` does."""
    if _GUARD not in sys.meta_path:
        sys.meta_path.insert(0, _GUARD)


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
