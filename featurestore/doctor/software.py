"""Which libraries are installed, of which version, and what is missing for which extra; none is imported for it."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from featurestore.doctor.finding import Finding
from featurestore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PACKAGE = "featurestore"


def requirements() -> dict[str, list[Requirement]]:
    """What the installed featurestore requires, by extra; the core is the extra with the empty name.

    Empty where featurestore runs from a folder and was never installed.
    """
    try:
        about = metadata.metadata(_PACKAGE)
    except metadata.PackageNotFoundError:
        return {}
    asked = [Requirement(line) for line in about.get_all("Requires-Dist") or ()]
    core = [one for one in asked if _is_for(one, "")]
    extras = {extra: [one for one in asked if _is_for(one, extra)] for extra in about.get_all("Provides-Extra") or ()}
    return {"": core, **{extra: [one for one in of if one not in core] for extra, of in extras.items()}}


def _is_for(one: Requirement, extra: str) -> bool:
    return one.marker is None or one.marker.evaluate({"extra": extra})


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def examine_software(asked: Mapping[str, Sequence[Requirement]] | None = None) -> Iterator[Finding]:
    """Python and featurestore, then the libraries of the core and of each extra.

    Args:
        asked: What is asked for, by extra; by default `requirements()`.
    """
    asked = requirements() if asked is None else asked
    system = f"{platform.system()} {platform.machine()}"
    versions = {"featurestore": __version__, "python": platform.python_version(), "system": system}
    yield Finding("version", f"featurestore {__version__}, Python {versions['python']}, {system}", versions)
    if not asked:
        yield Finding("core", "not installed as a package: what is missing cannot be told", {"missing": []})
    for extra, of in asked.items():
        yield _libraries(extra, of)


def _libraries(extra: str, asked: Sequence[Requirement]) -> Finding:
    """What there is of a group of libraries; one that is missing is a trouble in the core alone."""
    package = f"{_PACKAGE}[{extra}]" if extra else _PACKAGE
    found = {one.name: _installed(one.name) for one in asked}
    missing = [name for name, version in found.items() if version is None]
    said = [", ".join(f"{name} {version}" for name, version in found.items() if version is not None)]
    if missing:
        said.append(f"missing: {', '.join(missing)} (pip install '{package}')")
    others = [
        one for one in asked if (version := found[one.name]) and not one.specifier.contains(version, prereleases=True)
    ]
    troubles = [
        f"{one.name} {found[one.name]} is installed, and {package} needs {one.specifier}: pip install --upgrade '{package}'."
        for one in others
    ]
    if missing and not extra:
        troubles.append(
            f"{', '.join(missing)}: not installed, and every command may need them: pip install '{package}'."
        )
    values = {"versions": found, "missing": missing}
    return Finding(extra or "core", "; ".join(filter(None, said)), values, tuple(troubles))
