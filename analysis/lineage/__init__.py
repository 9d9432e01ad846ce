"""Lineage: what each stored part is made from, and whether it is still that."""

from __future__ import annotations

from analysis.lineage.benchmark import Benchmark, overlaps_said, read_benchmarks, set_benchmark
from analysis.lineage.benchmark_settings import BenchmarkSettings
from analysis.lineage.extracted import extracted_of, partial_said

__all__ = [
    "Benchmark",
    "BenchmarkSettings",
    "extracted_of",
    "overlaps_said",
    "partial_said",
    "read_benchmarks",
    "set_benchmark",
]
