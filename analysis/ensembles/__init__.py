"""Ensembles: combinations of stored scores."""
