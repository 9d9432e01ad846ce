"""Scoring: the job that makes fits, scores, accuracy and metrics."""
