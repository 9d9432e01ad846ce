"""Geometry: measures of feature spaces."""
