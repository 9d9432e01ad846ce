"""Formats of datasets: one file for each way in which images lie."""

from extract.datasets.formats.file_list import read_list
from extract.datasets.formats.folder import found_in_folders
from extract.datasets.formats.format import NO_OPTIONS, FileReader, Format, FormatOptions, Found, Reader
from extract.datasets.formats.imagenet_labels import WNID
from extract.datasets.formats.imagenet_wnids import imagenet_indices
from extract.datasets.formats.imglist import read_imglist
from extract.datasets.formats.reading import is_unreachable
from extract.datasets.formats.shards import absolute, expanded
from extract.datasets.formats.suffixes import IMAGE_SUFFIXES, is_image, passed_over, suffix_of, suffixes_read
from extract.datasets.formats.tar import TAR, list_packed
from extract.datasets.formats.tar_index import TarMember, read_index
from extract.datasets.formats.walk import file_sizes, file_times, images_below, read_text, sizes_below

__all__ = [
    "IMAGE_SUFFIXES",
    "NO_OPTIONS",
    "TAR",
    "WNID",
    "FileReader",
    "Format",
    "FormatOptions",
    "Found",
    "Reader",
    "TarMember",
    "absolute",
    "expanded",
    "file_sizes",
    "file_times",
    "found_in_folders",
    "imagenet_indices",
    "images_below",
    "is_image",
    "is_unreachable",
    "list_packed",
    "passed_over",
    "read_imglist",
    "read_index",
    "read_list",
    "read_text",
    "sizes_below",
    "suffix_of",
    "suffixes_read",
]
