"""Scoring: the job that makes statistics, scores, accuracy, geometry and metrics of every model and detector."""

from __future__ import annotations

from analysis.scoring.job import score, score_ensemble
from analysis.scoring.options import Means, Selection, Summary

__all__ = ["Means", "Selection", "Summary", "score", "score_ensemble"]
