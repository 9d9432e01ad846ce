"""Detectors: one file each, found by looking; see `base.Detector` for what such a file defines."""

from __future__ import annotations

from analysis.detectors.base import (
    CLASS_STATISTICS,
    CLASS_STATISTICS_NORMALISED,
    Detector,
    FitInputs,
    score_checked,
)
from analysis.detectors.registry import detectors, get

__all__ = [
    "CLASS_STATISTICS",
    "CLASS_STATISTICS_NORMALISED",
    "Detector",
    "FitInputs",
    "detectors",
    "get",
    "score_checked",
]
