"""The sections there are, in the order of the page."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from analysis.report.content import Section


@cache
def sections() -> tuple[Section, ...]:
    """Every section that a module of this package defines."""
    package = import_module("analysis.report.sections")
    modules = [import_module(m.name) for m in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Section)]
    return tuple(sorted(found, key=lambda section: (section.place, section.name)))
