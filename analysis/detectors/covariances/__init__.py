"""Detectors that go by the covariance of features: distances and densities under it, and what its principal axes leave."""
