"""Datasets: ordered lists of samples, from how images lie on disk to rows of the lake."""

from extract.datasets.dataset import DatasetRow, add_dataset, check_unchanged, read_dataset
from extract.datasets.formats.format import FileReader, Format, FormatOptions, Found, Reader
from extract.datasets.listing import Listing
from extract.datasets.origin import Origin
from extract.datasets.registry import formats, list_samples, open_reader

__all__ = [
    "DatasetRow",
    "FileReader",
    "Format",
    "FormatOptions",
    "Found",
    "Listing",
    "Origin",
    "Reader",
    "add_dataset",
    "check_unchanged",
    "formats",
    "list_samples",
    "open_reader",
    "read_dataset",
]
