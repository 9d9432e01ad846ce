"""Formats of datasets: one file for each way in which images lie."""
