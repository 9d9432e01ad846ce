"""Judging: what was fitted, in use on new activations, with the threshold that its ID test scores set; numpy alone, once it is read."""

from __future__ import annotations

from analysis.judging.thresholded import ThresholdedDetector

__all__ = ["ThresholdedDetector"]
