"""Metrics: how well scores separate ID from OOD samples."""
