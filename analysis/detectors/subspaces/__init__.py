"""Detectors that go by what principal axes leave of the features."""
