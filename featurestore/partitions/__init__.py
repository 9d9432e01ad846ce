"""Partitions: reading and writing what one manifest names.

What is slow to import is imported by its path, so that questions are answered without it: all of `reading` needs numpy and
pyarrow, `writing` all of Parquet, `scanning` polars.
"""

from featurestore.partitions import snapshot

__all__ = ["snapshot"]
