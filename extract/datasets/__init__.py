"""Datasets: ordered lists of samples, from how images lie on disk to rows of the lake."""

from extract.datasets.formats import FORMATS, list_samples
from extract.datasets.listing import Listing
from extract.datasets.register import DatasetRow, add_dataset, check_unchanged, read_dataset

__all__ = ["FORMATS", "DatasetRow", "Listing", "add_dataset", "check_unchanged", "list_samples", "read_dataset"]
