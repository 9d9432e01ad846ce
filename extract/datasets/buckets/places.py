"""Formats of datasets that lie in a bucket: folders of images, and lists of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from extract.datasets.buckets.bucket import BucketReader, is_url, objects_below, parent_url, read_object_text, sizes_of
from extract.datasets.buckets.tars import PackedReader, list_tar_there, stamped_tars
from extract.datasets.formats import (
    TAR,
    Format,
    Found,
    found_in_folders,
    is_image,
    read_imglist,
    read_list,
    read_text,
    suffix_of,
    suffixes_read,
)
from featurestore.errors import InputError

if TYPE_CHECKING:
    from extract.datasets.formats import FormatOptions


def list_folder_there(location: str, role: str, options: FormatOptions) -> Found:
    """List the images below a URL; the first folder of each path is its class, as for a folder here.

    Raises:
        InputError: There is no image, images of an ID dataset lie outside class folders, or the store cannot be reached.
    """
    objects = objects_below(location)
    suffixes = suffixes_read(options)
    images = [path for path in objects if is_image(path, suffixes)]
    others = Counter(suffix_of(path) for path in objects if not is_image(path, suffixes))
    found = found_in_folders(location, images, others, role, options)
    return replace(found, bytes=[objects[path].bytes for path in found.paths])


def list_csv_there(location: str, role: str, options: FormatOptions) -> Found:
    """List the images of a file list, where the list, the images or both lie in a bucket.

    Raises:
        InputError: As for a list here, or the store cannot be reached.
    """
    said = read_list(location, options, _text(location))
    if said.classes is None and role != "ood":
        raise InputError(f"{location} has no column for the class: an ID dataset needs one; --label-column names it.")
    sizes = sizes_of(_root(location, options), said.paths, location)
    classes = said.classes or [PurePosixPath(location).stem] * len(said.paths)
    return Found(said.paths, sizes, classes, None, said.notes, said.inferred)


def list_imglist_there(location: str, role: str, options: FormatOptions) -> Found:
    """List the images of an image list, where the list, the images or both lie in a bucket.

    Raises:
        InputError: As for a list here, or the store cannot be reached.
    """
    said = read_imglist(location, _text(location))
    return said.found(role, sizes_of(_root(location, options), said.paths, location))


def _text(location: str) -> str:
    """The text of a list, which may lie here."""
    return read_object_text(location, "list") if is_url(location) else read_text(Path(location), "list")


def _root(location: str, options: FormatOptions) -> str:
    root = str(options.root) if options.root else parent_url(location)
    if not is_url(root):
        raise InputError(
            f"{location} lies in a bucket, and --root {root} does not: give the URL of the folder of images."
        )
    return root


def _list_reader(location: str, options: FormatOptions) -> BucketReader:
    return BucketReader(_root(location, options))


BUCKET_FORMATS = {
    each.name: each
    for each in (
        Format(
            "folder", list_folder_there, lambda location, _: BucketReader(location), frozenset({"label_kind", "split"})
        ),
        Format(
            "csv",
            list_csv_there,
            _list_reader,
            frozenset({"root", "label_kind", "delimiter", "image_column", "label_column", "split"}),
        ),
        Format("imglist", list_imglist_there, _list_reader, frozenset({"root"})),
        Format("tar", list_tar_there, lambda location, _: PackedReader(location), TAR.takes, stamped_tars),
    )
}


def bucket_format(name: str, location: str) -> Format:
    """The format of that name for places in a bucket.

    Raises:
        InputError: It reads none.
    """
    if name in BUCKET_FORMATS:
        return BUCKET_FORMATS[name]
    raise InputError(
        f"The format {name!r} does not read {location} in a bucket: there, it is {', '.join(BUCKET_FORMATS)}. "
        "Copy it to a disk, or give a list of its images."
    )
