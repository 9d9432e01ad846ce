"""Ensembles: combinations of stored scores, stored as those of a model of their own; and which models to combine."""

from __future__ import annotations

from analysis.ensembles.ensemble import Ensemble, parse

__all__ = ["Ensemble", "parse"]
