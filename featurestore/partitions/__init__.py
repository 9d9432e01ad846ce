"""Partitions: reading and writing what one manifest names.

What is slow to import is imported by its path, so that questions are answered without it: `writing` needs all of Parquet,
`scanning` polars.
"""

from featurestore.partitions import derived_logits, reading, snapshot
from featurestore.partitions.encoding import ROW_GROUP_ROWS, as_stored, to_numpy, vector_array

__all__ = ["ROW_GROUP_ROWS", "as_stored", "derived_logits", "reading", "snapshot", "to_numpy", "vector_array"]
