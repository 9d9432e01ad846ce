"""Whether a dataset's images are still those that were added: where they lie, names, sizes, times and bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from extract.datasets.contents import check_written_since
from extract.datasets.formats import FileReader, file_sizes
from extract.datasets.listing import changes
from extract.datasets.registry import is_untouched, list_again
from featurestore.errors import ConflictError, InputError

if TYPE_CHECKING:
    from extract.datasets.dataset import DatasetRow
    from extract.datasets.listing import Listing
    from extract.datasets.origin import Origin
    from featurestore.lake import Lake

_AT_ONCE = 1_024


def check_unchanged(row: DatasetRow, listing: Listing) -> None:
    """Raise if a dataset's files are no longer those that were added.

    Raises:
        InputError: None of them is there, or they cannot be listed.
        ConflictError: Files were added, removed, resized or moved between classes.
    """
    if _are_away(row, listing):
        raise InputError(
            f"The images of dataset {row.dataset!r} are not where they were ({row.location}): bring them back, or add it "
            f"again from where they are now, with `featurestore dataset add {row.dataset} PATH`."
        )
    if is_untouched(row.origin, listing):
        return
    found = changes(listing, relist(row.origin, listing))
    if found:
        raise ConflictError(
            f"The files of dataset {row.dataset!r} in {row.location} changed since it was added: {found}. "
            f"Restore them, or take the new ones with `featurestore dataset add {row.dataset} … --replace`."
        )


def check_cached(lake: Lake, row: DatasetRow, listing: Listing) -> str:
    """Compare a dataset of which nothing has to be read with the images that are there now, by names, sizes and times.

    Returns:
        A line for the user where they are not where they were: activations need them no more. Else an empty text.

    Raises:
        ConflictError: They are there, and are others.
    """
    try:
        check_unchanged(row, listing)
    except (InputError, OSError) as error:
        place = row.location if _are_away(row, listing) else str(error).rstrip(".")
        return f"Images of {row.dataset} are not where they were ({place}): its activations stay"
    check_contents(lake, row, listing)
    return ""


def check_contents(lake: Lake, row: DatasetRow, listing: Listing) -> None:
    """Raise if images that were written since they were read have other bytes; images with equal bytes are not looked at again.

    Raises:
        ConflictError: Some have.
    """
    check_written_since(lake, row.dataset, row.digest, row.origin, listing)


def relist(origin: Origin, listing: Listing) -> Listing:
    """List the files again; labels stay with their classes, and of a subset only the chosen files count."""
    now = list_again(origin)
    if origin.options.is_part:
        chosen = set(listing.paths)
        now = now.take([sample for sample, path in enumerate(now.paths) if path in chosen])
    label_of = listing.label_of_class
    return replace(now, labels=[label_of.get(name) for name in now.class_names])


def _are_away(row: DatasetRow, listing: Listing) -> bool:
    """Whether none of a dataset's images is there, if they are files: of a mount that broke off, an empty folder may remain."""
    reader = row.reader
    if not isinstance(reader, FileReader) or not len(listing):
        return False
    try:
        blocks = (listing.paths[start : start + _AT_ONCE] for start in range(0, len(listing), _AT_ONCE))
        return all(size is None for block in blocks for size in file_sizes(reader.root, block))
    except OSError:
        return False
