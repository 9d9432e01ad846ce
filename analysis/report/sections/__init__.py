"""The sections of the report: every `Section` that a module of this package defines."""

from analysis.report.sections.registry import sections

__all__ = ["sections"]
