"""Datasets: ordered lists of samples, from how images lie on disk to rows of the lake."""

from extract.datasets.adding import add_dataset, add_listed
from extract.datasets.contents import (
    Contents,
    Digests,
    check_equal,
    digest_of,
    read_contents,
    read_digests,
    unread,
    write_contents,
)
from extract.datasets.dataset import DatasetRow, dataset_names, read_dataset, read_listing
from extract.datasets.formats import FileReader, FormatOptions, Reader, is_unreachable
from extract.datasets.freshness import check_cached, check_contents, check_unchanged
from extract.datasets.listing import Listing, choose
from extract.datasets.membership import with_part
from extract.datasets.origin import Origin, place
from extract.datasets.registry import formats, list_samples, open_reader
from extract.datasets.seen_classes import NOTHING_SEEN, Seen, read_seen, seen_of

__all__ = [
    "NOTHING_SEEN",
    "Contents",
    "DatasetRow",
    "Digests",
    "FileReader",
    "FormatOptions",
    "Listing",
    "Origin",
    "Reader",
    "Seen",
    "add_dataset",
    "add_listed",
    "check_cached",
    "check_contents",
    "check_equal",
    "check_unchanged",
    "choose",
    "dataset_names",
    "digest_of",
    "formats",
    "is_unreachable",
    "list_samples",
    "open_reader",
    "place",
    "read_contents",
    "read_dataset",
    "read_digests",
    "read_listing",
    "read_seen",
    "seen_of",
    "unread",
    "with_part",
    "write_contents",
]
