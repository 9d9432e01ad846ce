"""Datasets in object stores: what lies there, and its bytes, through the lake's own storage layer."""

from extract.datasets.buckets.bucket import is_url
from extract.datasets.buckets.places import bucket_format

__all__ = ["bucket_format", "is_url"]
