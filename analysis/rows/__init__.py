"""Rows: what is read of the lake to learn from and to score, and what every number must satisfy before it counts."""

from __future__ import annotations

from analysis.rows.activations import Activations, Block
from analysis.rows.head import Head, is_headless, normalizes, read_head, tells_classes
from analysis.rows.lake_rows import Rows, hashed, in_tenth
from analysis.rows.memo import Memo

__all__ = [
    "Activations",
    "Block",
    "Head",
    "Memo",
    "Rows",
    "hashed",
    "in_tenth",
    "is_headless",
    "normalizes",
    "read_head",
    "tells_classes",
]
