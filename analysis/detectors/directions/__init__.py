"""Detectors that go by the direction and the norm of features."""
