"""Scoring: the job that makes statistics, scores, accuracy, geometry and metrics of every model and detector."""

from __future__ import annotations

from analysis.scoring.fits import Means
from analysis.scoring.job import ScoringSelection, ScoringSummary, score, score_ensemble

__all__ = ["Means", "ScoringSelection", "ScoringSummary", "score", "score_ensemble"]
