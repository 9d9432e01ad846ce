"""Algebra: class scatter, Gaussians, subspaces and fits of curves, as functions of arrays. All of it stands on SciPy: import by file."""
