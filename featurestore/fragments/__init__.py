"""Fragments: one Parquet file each, which a manifest names, and which is what it says.

`vector_pages`, which needs numpy, is imported by its path, so that questions are answered without it.
"""

from featurestore.fragments import opening, row_counts, verdicts

__all__ = ["opening", "row_counts", "verdicts"]
