"""A section of the report, and the sections there are, in the order of the page."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from analysis.report.context import Context
    from analysis.report.section_items import SectionBody


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the report. A module of `analysis.report.sections` that defines one adds it.

    Attributes:
        name: Slug, the section's anchor.
        title: Its heading.
        place: Sections stand in ascending order of this.
        build: From the context to what the section says.
    """

    name: str
    title: str
    place: int
    build: Callable[[Context], SectionBody] = field(repr=False)


@cache
def sections() -> tuple[Section, ...]:
    """Every section that a module of this package defines."""
    package = import_module("analysis.report.sections")
    modules = [import_module(m.name) for m in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Section)]
    return tuple(sorted(found, key=lambda section: (section.place, section.name)))
