"""Status: what a lake holds of each model on each dataset, what is missing, and what is stale and why; from manifests alone."""

from __future__ import annotations

from analysis.status.graph import status_rows
from analysis.status.lake_index import read_lake_index
from analysis.status.table import LONG, WIDE, frame, long, partial_lines, summary, wide

__all__ = ["LONG", "WIDE", "frame", "long", "partial_lines", "read_lake_index", "status_rows", "summary", "wide"]
