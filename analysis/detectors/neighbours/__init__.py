"""Detectors that compare features with those of fit samples."""
