"""Detectors: one file each, found by looking; see `base.Detector` for what such a file defines."""

from __future__ import annotations

from analysis.detectors.detector import Detector, FitInputs, score_checked
from analysis.detectors.registry import detectors, get

__all__ = ["Detector", "FitInputs", "detectors", "get", "score_checked"]
