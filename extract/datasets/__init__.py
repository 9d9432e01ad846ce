"""Datasets: ordered lists of samples, from how images lie on disk to rows of the lake."""

from extract.datasets.dataset import DatasetRow, add_dataset, check_unchanged, dataset_names, read_dataset, read_listing
from extract.datasets.formats import FileReader, FormatOptions, Reader
from extract.datasets.listing import Listing
from extract.datasets.origin import Origin, place
from extract.datasets.registry import formats, list_samples, open_reader

__all__ = [
    "DatasetRow",
    "FileReader",
    "FormatOptions",
    "Listing",
    "Origin",
    "Reader",
    "add_dataset",
    "check_unchanged",
    "dataset_names",
    "formats",
    "list_samples",
    "open_reader",
    "place",
    "read_dataset",
    "read_listing",
]
