"""Subsets: datasets made of images of another one, and their activations from its rows."""

from extract.subsets.adding_parts import add_part
from extract.subsets.choice import Choice
from extract.subsets.parent_rows import fill

__all__ = ["Choice", "add_part", "fill"]
