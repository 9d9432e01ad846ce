"""Fragments: one Parquet file each, which a manifest names, and which is what it says."""

from featurestore.fragments import opening, vector_pages, verdicts

__all__ = ["opening", "vector_pages", "verdicts"]
