"""Detectors: rules that score activations, those of one kind in a file, found by looking; see `detector.Detector` for what one says."""

from __future__ import annotations

from analysis.detectors.checked_scores import finite_scores, score_checked
from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.in_memory import FittedDetector, fit_in_memory
from analysis.detectors.registry import default_detectors, detectors, get

__all__ = [
    "Detector",
    "FitInputs",
    "FittedDetector",
    "default_detectors",
    "detectors",
    "finite_scores",
    "fit_in_memory",
    "get",
    "score_checked",
]
