"""Datasets: ordered lists of samples, from how images lie on disk to rows of the lake."""

from extract.datasets.dataset import DatasetRow, add_dataset, check_unchanged, read_dataset
from extract.datasets.formats.format import FileReader, Format, Found, Reader
from extract.datasets.listing import Listing
from extract.datasets.registry import formats, list_samples, open_reader
from extract.datasets.source import Source, SourceOptions

__all__ = [
    "DatasetRow",
    "FileReader",
    "Format",
    "Found",
    "Listing",
    "Reader",
    "Source",
    "SourceOptions",
    "add_dataset",
    "check_unchanged",
    "formats",
    "list_samples",
    "open_reader",
    "read_dataset",
]
