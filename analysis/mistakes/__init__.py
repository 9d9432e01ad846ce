"""Mistakes: which ID test samples a model gets wrong, whether scores tell these from the others, and whether it is as sure as it is right."""

from __future__ import annotations

from analysis.mistakes.calibration_table import write_calibration
from analysis.mistakes.predicted import Predicted, read_predicted
from analysis.mistakes.selective_table import write_selective

__all__ = ["Predicted", "read_predicted", "write_calibration", "write_selective"]
