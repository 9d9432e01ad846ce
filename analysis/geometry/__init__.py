"""Geometry: measures of feature spaces, and the statistics of the fit dataset that they take."""

from __future__ import annotations

from analysis.geometry.feature_norms import FEATURE_NORMS
from analysis.geometry.measures import mean_measures, norm_measures, principal_axes, scatter_measures
from analysis.geometry.projections import WITHIN_KURTOSIS

__all__ = ["FEATURE_NORMS", "WITHIN_KURTOSIS", "mean_measures", "norm_measures", "principal_axes", "scatter_measures"]
