"""The detectors there are: those of this package, of installed plugins, and of modules that a user names; and variants of them.

A variant is written as users type it, `knn:k=50`, or as the lake names it, `knn@k=50`; `knn:k=10,50,low=0.1,0.2` stands for the
four that these values make.
"""

from __future__ import annotations

import itertools
import pkgutil
import sys
from dataclasses import fields
from functools import cache, lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

from analysis.detectors.detector import Detector
from featurestore.errors import InputError, LakeError, MissingError
from featurestore.names import VARIANT, check_slug, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

ALL = "all"
"""What stands for every detector where names of detectors are asked for."""

ENTRY_POINTS = "featurestore.detectors"
"""Group of entry points under which an installed package names modules that define detectors."""

_TYPED = ":"

_plugins: dict[str, Detector[Any]] = {}
_modules: dict[str, ModuleType] = {}


def detectors() -> Mapping[str, Detector[Any]]:
    """Return every detector by name, in alphabetical order."""
    found = {**_shipped(), **_plugins}
    return MappingProxyType({name: found[name] for name in sorted(found)})


def default_detectors() -> list[Detector[Any]]:
    """Return the detectors that are scored unless some are named: one convention, and none of extraordinary cost.

    What stands in for one of extraordinary cost is among them.
    """
    usual = (detector for detector in detectors().values() if _is_plain(detector) or detector.stands_in)
    return [detector for detector in usual if not detector.on_request]


def costly_detectors() -> list[Detector[Any]]:
    """Return the detectors that their cost alone keeps out of the default ones."""
    return [
        detector
        for detector in detectors().values()
        if _is_plain(detector) and detector.on_request and not detector.needs_negatives
    ]


def choose(names: Sequence[str]) -> list[Detector[Any]]:
    """Return the detectors of those names; the default ones if there is no name, and every one if a name is `all`.

    Raises:
        MissingError: There is none of a name, or it has no such constant; suggests the nearest.
        InputError: A constant has a value that it cannot have.
    """
    if not names:
        return default_detectors()
    every = detectors().values() if ALL in names else ()
    found = [*every, *(detector for name in names if name != ALL for detector in named(name))]
    return list({detector.name: detector for detector in found}.values())


def get(name: str) -> Detector[Any]:
    """Return one detector, or one variant.

    Raises:
        MissingError: There is none of that name, or it has no such constant; suggests the nearest.
        InputError: A constant has a value that it cannot have, or several.
    """
    found = named(name)
    if len(found) > 1:
        raise InputError(
            f"{name} stands for {len(found)} detectors, and one is wanted here: give each constant one value."
        )
    return found[0]


def named(text: str) -> Sequence[Detector[Any]]:
    """Return the detector of a name, or the variants that a text such as `knn:k=10,50` stands for.

    Raises:
        MissingError: There is none of that name, or it has no such constant; suggests the nearest.
        InputError: It is written in another way, or a constant has a value that it cannot have.
    """
    known = detectors()
    base, mark, constants = text.partition(VARIANT if VARIANT in text else _TYPED)
    if base not in known:
        raise MissingError(
            f"There is no detector {base!r}; {nearest(base, known)} One of your own comes with --plugin FILE."
        )
    return _variants(known[base], constants) if mark else (known[base],)


def known_by(names: Iterable[str]) -> Mapping[str, Detector[Any]]:
    """Return every detector by name, with the variants among some names that a lake holds."""
    found = dict(detectors())
    for name in names:
        if name not in found and VARIANT in name:
            try:
                (variant,) = named(name)
            except (LakeError, ValueError):
                continue
            # Another spelling of it is the name of nothing.
            found |= {name: variant} if variant.name == name else {}
    return MappingProxyType(found)


def is_known(detector: Detector[Any]) -> bool:
    """Whether a detector is what its name says to everybody."""
    known = known_by([detector.name]).get(detector.name)
    same = (one.name for one in fields(detector) if one.name not in {"name", "chosen"})
    return known is not None and all(getattr(known, name) is getattr(detector, name) for name in same)


@lru_cache(maxsize=1024)
def _variants(detector: Detector[Any], text: str) -> tuple[Detector[Any], ...]:
    """The variants of a detector with constants as a text gives them."""
    values: dict[str, list[str]] = {}
    last = ""
    for piece in text.split(","):
        name, equals, value = piece.rpartition("=")
        last = name.strip() if equals else last
        if not last or not value.strip():
            raise InputError(f"{detector.name}{_TYPED}{text} gives no constants: {_written_as(detector)}.")
        values.setdefault(last, []).append(value.strip())
    chosen = (dict(zip(values, each, strict=True)) for each in itertools.product(*values.values()))
    found = [detector.with_values(**each) for each in chosen]
    return tuple({variant.name: variant for variant in found}.values())


def _written_as(detector: Detector[Any]) -> str:
    """How variants of a detector are written."""
    listed = ",".join(f"{one.name}=VALUE" for one in detector.hyperparameters)
    return f"write {detector.name}{_TYPED}{listed}" if listed else f"{detector.name} has none"


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
    found = _checked(f"plugin {module}", lambda: _import(module), _shipped())
    _plugins.update(found)
    return sorted(found)


def plugin_modules() -> list[ModuleType]:
    """Return the modules that `load_plugin` has read: another machine may not have them."""
    return list(_modules.values())


@cache
def _shipped() -> Mapping[str, Detector[Any]]:
    package = import_module("analysis.detectors")
    names = [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    found = {detector.name: detector for name in names for detector in _defined_in(import_module(name))}
    for point in entry_points(group=ENTRY_POINTS):
        found |= _checked(f"installed plugin {point.name} ({point.value})", point.load, found)
    return found


def _checked(what: str, load: Callable[[], Any], taken: Mapping[str, Detector[Any]]) -> dict[str, Detector[Any]]:
    """The detectors of a plugin by name, if it can be used."""
    try:
        loaded = load()
    except LakeError:
        raise
    except Exception as error:
        raise InputError(f"The {what} cannot be imported: {type(error).__name__}: {error}.") from error
    # What a plugin imports from here is not its own.
    found = {d.name: d for d in _defined_in(loaded) if d is not taken.get(d.name)}
    if not found:
        raise InputError(f"The {what} defines no detector: it needs an `analysis.detectors.Detector` in it.")
    for name in found:
        check_slug("detector", name)
        if name in taken:
            raise InputError(f"The {what} defines {name!r}, which exists already: give it another name.")
    return found


def _defined_in(loaded: Any) -> list[Detector[Any]]:
    """The detectors among the values of a module, without variants; what an entry point names may also be a detector itself."""
    values = vars(loaded).values() if isinstance(loaded, ModuleType) else (loaded,)
    return [value for value in values if isinstance(value, Detector) and not value.chosen]


def _is_plain(detector: Detector[Any]) -> bool:
    return "." not in detector.name


def _import(name: str) -> ModuleType:
    path = Path(name)
    if path.suffix != ".py":
        _search(Path.cwd())
        try:
            _modules[name] = import_module(name)
        except ModuleNotFoundError as error:
            raise MissingError(f"There is no plugin module {name!r}: {error}.") from error
        return _modules[name]
    if not path.is_file():
        raise MissingError(f"There is no plugin file {name}.")
    # A name of its own: `statistics.py` of a user's is not the standard library's.
    own = f"featurestore_plugin_{path.stem}"
    spec = spec_from_file_location(own, path)
    if spec is None or spec.loader is None:
        raise InputError(f"The plugin {name} cannot be imported: Python cannot load it.")
    _search(path.parent.resolve())
    # Dataclasses look their module up while they are made.
    _modules[name] = sys.modules[own] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules[own])
    return sys.modules[own]


def _search(folder: Path) -> None:
    """Let Python find modules in a folder, too, after it has looked everywhere else."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
