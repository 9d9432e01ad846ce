"""Scoring: the job that makes statistics, scores, accuracy, geometry and metrics of every model and detector."""

from __future__ import annotations

from analysis.scoring.fits import Means
from analysis.scoring.job import Selection, Summary, score, score_ensemble

__all__ = ["Means", "Selection", "Summary", "score", "score_ensemble"]
