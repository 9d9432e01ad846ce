"""Which libraries are installed, of which version, and what is missing for which extra; none is imported for it."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from importlib import metadata
from itertools import zip_longest
from typing import TYPE_CHECKING

from featurestore.doctor.finding import Finding
from featurestore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PACKAGE = "featurestore"
_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[^]]*\])?\s*\(?([^;()]*)\)?\s*(?:;.*extra == ['\"]([\w-]+)['\"].*)?")
_BOUND = re.compile(r"(>=|<)\s*([\w.]+)")


@dataclass(frozen=True, slots=True)
class Requirement:
    """What featurestore asks of a library.

    Attributes:
        name: The library's.
        bounds: From which version on, and below which one, as `>=0.26,<0.29`.
        extra: For which extra; empty for the core.
    """

    name: str
    bounds: str
    extra: str

    @classmethod
    def read(cls, line: str) -> Requirement:
        """What a line of a package's metadata asks for.

        >>> Requirement.read("torch>=2.5; extra == 'extract'")
        Requirement(name='torch', bounds='>=2.5', extra='extract')
        """
        found = _REQUIREMENT.fullmatch(line.strip())
        return cls(*(text.strip() for text in found.groups(default=""))) if found else cls(line, "", "")

    @property
    def installed(self) -> str | None:
        """The installed version; None if there is none."""
        try:
            return metadata.version(self.name)
        except metadata.PackageNotFoundError:
            return None

    def allows(self, version: str) -> bool:
        """Whether a version is within the bounds.

        >>> Requirement("typer", ">=0.26,<0.29", "").allows("0.29.1")
        False
        """
        bounds = _BOUND.findall(self.bounds)
        return all(_is_at_least(version, bound) == (sign == ">=") for sign, bound in bounds)


def _is_at_least(version: str, bound: str) -> bool:
    pairs = list(zip_longest(_numbers(version), _numbers(bound), fillvalue=0))
    return [have for have, _ in pairs] >= [need for _, need in pairs]


def _numbers(version: str) -> list[int]:
    """The numbers that a version begins with; what marks builds and candidates is passed over."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return [int(part) for part in found[0].split(".")] if found else []


def requirements() -> list[Requirement]:
    """What the installed featurestore asks for; nothing where it runs from a folder that was never installed."""
    try:
        lines = metadata.requires(_PACKAGE) or ()
    except metadata.PackageNotFoundError:
        return []
    return [Requirement.read(line) for line in lines]


def examine_software(asked: Sequence[Requirement] | None = None) -> Iterator[Finding]:
    """Python and featurestore, then the libraries of the core and of each extra.

    Args:
        asked: What is asked for; by default `requirements()`.
    """
    asked = requirements() if asked is None else asked
    system = f"{platform.system()} {platform.machine()}"
    versions = {"featurestore": __version__, "python": platform.python_version(), "system": system}
    yield Finding("version", f"featurestore {__version__}, Python {versions['python']}, {system}", versions)
    if not asked:
        yield Finding("core", "not installed as a package: what is missing cannot be told", {"missing": []})
    for extra in dict.fromkeys(one.extra for one in asked):
        yield _libraries(extra, [one for one in asked if one.extra == extra])


def _libraries(extra: str, asked: Sequence[Requirement]) -> Finding:
    """What there is of a group of libraries; one that is missing is a trouble in the core alone."""
    package = f"{_PACKAGE}[{extra}]" if extra else _PACKAGE
    found = {one.name: one.installed for one in asked}
    missing = [name for name, version in found.items() if version is None]
    said = [", ".join(f"{name} {version}" for name, version in found.items() if version is not None)]
    if missing:
        said.append(f"missing: {', '.join(missing)} (pip install '{package}')")
    others = [one for one in asked if (version := found[one.name]) is not None and not one.allows(version)]
    troubles = [
        f"{one.name} {found[one.name]} is installed, and {package} needs {one.bounds}: pip install --upgrade '{package}'."
        for one in others
    ]
    if missing and not extra:
        troubles.append(
            f"{', '.join(missing)}: not installed, and every command may need them: pip install '{package}'."
        )
    values = {"versions": found, "missing": missing}
    return Finding(extra or "core", "; ".join(filter(None, said)), values, tuple(troubles))
