"""Lineage: what each stored part is made from, and whether it is still that."""

from __future__ import annotations

from analysis.lineage.benchmark import Benchmark, overlaps_said, read_benchmarks, set_benchmark
from analysis.lineage.benchmark_settings import BenchmarkSettings

__all__ = ["Benchmark", "BenchmarkSettings", "overlaps_said", "read_benchmarks", "set_benchmark"]
