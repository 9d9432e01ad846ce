"""The sections of the report: every `Section` that a module of this package defines."""

from analysis.report.sections.section import Section, sections

__all__ = ["Section", "sections"]
