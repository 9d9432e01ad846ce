"""Synthetic unit-tests for OOD detectors: 17 kinds of images without any object, drawn from any folder of images."""

from extract.unit_tests.kinds import KINDS, Kind, render
from extract.unit_tests.plan import sample_indices
from extract.unit_tests.write import UnitTestSummary, write_unit_tests

__all__ = ["KINDS", "Kind", "UnitTestSummary", "render", "sample_indices", "write_unit_tests"]
