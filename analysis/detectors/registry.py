"""The detectors there are: those of this package, of installed plugins, and of modules that a user names."""

from __future__ import annotations

import pkgutil
import sys
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from analysis.detectors.base import Detector
from featurestore.errors import InputError, MissingError
from featurestore.names import check_slug, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

ENTRY_POINTS = "featurestore.detectors"
"""Group of entry points under which an installed package names modules that define detectors."""

_plugins: dict[str, Detector[Any]] = {}


def detectors() -> Mapping[str, Detector[Any]]:
    """Return every detector by name, in alphabetical order."""
    found = {**_shipped(), **_plugins}
    return MappingProxyType({name: found[name] for name in sorted(found)})


def default_detectors() -> list[Detector[Any]]:
    """Return the detectors that are scored unless some are named: one convention, and none of extraordinary cost."""
    return [detector for detector in detectors().values() if "." not in detector.name and not detector.on_request]


def get(name: str) -> Detector[Any]:
    """Return one detector.

    Raises:
        MissingError: There is none of that name; suggests the nearest.
    """
    known = detectors()
    if name in known:
        return known[name]
    raise MissingError(f"There is no detector {name!r}; {nearest(name, known)}")


def load_plugin(module: str) -> list[str]:
    """Add the detectors that a module of the user's defines.

    Args:
        module: The module's name, or the path of its file.

    Returns:
        Their names.

    Raises:
        MissingError: There is no such module.
        InputError: It cannot be imported, defines no detector, or one whose name is taken.
    """
    found = {detector.name: detector for detector in _defined_in(_import(module))}
    if not found:
        raise InputError(f"The plugin {module} defines no detector: it needs an `analysis.detectors.Detector` in it.")
    taken = sorted(found.keys() & _shipped().keys())
    if taken:
        raise InputError(f"The plugin {module} defines {taken[0]!r}, which exists already: give it another name.")
    for name in found:
        check_slug("detector", name)
    _plugins.update(found)
    return sorted(found)


@cache
def _shipped() -> Mapping[str, Detector[Any]]:
    package = import_module("analysis.detectors")
    modules = [module.name for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")]
    modules += [point.value for point in entry_points(group=ENTRY_POINTS)]
    return {found.name: found for module in modules for found in _defined_in(import_module(module))}


def _defined_in(module: ModuleType) -> Iterator[Detector[Any]]:
    return (value for value in vars(module).values() if isinstance(value, Detector))


def _import(module: str) -> ModuleType:
    path = Path(module)
    if path.suffix == ".py":
        if not path.is_file():
            raise MissingError(f"There is no plugin file {module}.")
        sys.path.insert(0, str(path.parent.resolve()))
        module = path.stem
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingError(f"There is no plugin module {module!r}: {error}.") from error
    except Exception as error:
        raise InputError(f"The plugin {module} cannot be imported: {type(error).__name__}: {error}.") from error
