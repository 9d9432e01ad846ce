"""Soups: models whose weights are averages of others'."""
