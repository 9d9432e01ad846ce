"""Metrics: how well scores separate ID from OOD samples, and how often a model is right.

Higher scores mean more in-distribution throughout. Ties are never broken by order: every number depends on the multisets of
scores alone. NaN and infinity are errors.
"""

from __future__ import annotations

from analysis.metrics.accuracy import accuracy, write_accuracy
from analysis.metrics.table import write_metrics
from analysis.metrics.threshold import id_rank, threshold_at, threshold_interval

__all__ = ["accuracy", "id_rank", "threshold_at", "threshold_interval", "write_accuracy", "write_metrics"]
