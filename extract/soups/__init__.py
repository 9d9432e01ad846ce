"""Soups: models whose weights are averages of others'."""

from extract.soups.soup import make_soup, soup_options

__all__ = [
    "make_soup",
    "soup_options",
]
