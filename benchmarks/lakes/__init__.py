"""Lakes made of arrays, through the lake's own writer: for benchmarks and tests, neither of which need images for it."""

from benchmarks.lakes.tables import activations, put, put_dataset, put_head, put_rows, put_scores

__all__ = ["activations", "put", "put_dataset", "put_head", "put_rows", "put_scores"]
