"""Algebra: what follows from arrays alone, such as class means, Gaussians and subspaces."""
