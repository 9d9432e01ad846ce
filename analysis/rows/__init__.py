"""Rows: what is read of the lake to learn from and to score."""
