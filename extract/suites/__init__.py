"""Suites: benchmarks as they are distributed, each a list of sets with their roles and groups."""

from extract.suites.adding import SuiteSummary, add_suite
from extract.suites.registry import SUITES, named_suite
from extract.suites.suite import Suite, SuiteSet

__all__ = ["SUITES", "Suite", "SuiteSet", "SuiteSummary", "add_suite", "named_suite"]
