"""Lineage: what each stored part is made from, and whether it is still that."""

from __future__ import annotations

from analysis.lineage.benchmark import Benchmark, read_benchmarks

__all__ = ["Benchmark", "read_benchmarks"]
