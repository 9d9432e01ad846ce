"""The detectors there are: every `Detector` that a module of this package defines."""

from __future__ import annotations

import pkgutil
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from analysis.detectors.base import Detector
from featurestore.errors import MissingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@cache
def detectors() -> Mapping[str, Detector[Any]]:
    """Return every detector by name, in alphabetical order."""
    return MappingProxyType({found.name: found for found in sorted(_discover(), key=lambda found: found.name)})


def get(name: str) -> Detector[Any]:
    """Return one detector.

    Raises:
        MissingError: There is none of that name; suggests the nearest.
    """
    known = detectors()
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}."
    raise MissingError(f"There is no detector {name!r}; {hint}")


def _discover() -> Iterator[Detector[Any]]:
    package = import_module("analysis.detectors")
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        yield from (value for value in vars(import_module(module.name)).values() if isinstance(value, Detector))
