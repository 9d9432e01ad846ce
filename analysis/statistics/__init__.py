"""What detectors learn from: mergeable statistics of a dataset's activations, all gathered in one sweep.

Each file of statistics is imported where it is needed.
"""

from __future__ import annotations

from analysis.statistics.statistic import FIT, VALIDATION, Accumulator, Arrays, Statistic, SweepContext, with_earlier
from analysis.statistics.sweep import gather

__all__ = ["FIT", "VALIDATION", "Accumulator", "Arrays", "Statistic", "SweepContext", "gather", "with_earlier"]
