"""ImageNet's validation set as it is downloaded: one flat folder, and a file with the labels, or names that hold the wnids."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from extract.datasets.formats.folder import check_folder
from extract.datasets.formats.format import Format, Found
from extract.datasets.formats.imagenet_labels import read_wnids
from extract.datasets.formats.imagenet_wnids import index_of_wnids, wnids_in_names, wnids_note
from extract.datasets.formats.suffixes import passed_over
from extract.datasets.formats.walk import look_below, sizes_below
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extract.datasets.formats.format import FormatOptions

_NAME = re.compile(r"ILSVRC2012_val_\d{8}(_n\d{8})?\.JPE?G", re.IGNORECASE)


def list_imagenet_val(location: str, _role: str, options: FormatOptions) -> Found:
    """List the images by number; classes are wnids, and labels their indices in lexical order, as models have them.

    Raises:
        InputError: The folder is not flat or not complete, or the labels' meaning is not beyond doubt.
    """
    folder = Path(location)
    check_folder(folder, "imagenet-val", "the flat folder of ILSVRC2012_val_*.JPEG")
    paths, others = look_below(folder)
    notes = passed_over(location, len(paths), others)
    strangers = [path for path in paths if not _NAME.fullmatch(path)]
    if strangers or not paths:
        what = f"holds {strangers[0]}" if strangers else "holds no image"
        raise InputError(
            f"{folder} {what}: the format 'imagenet-val' takes a flat folder of ILSVRC2012_val_*.JPEG and nothing else. "
            "With one folder per class, it is --format folder."
        )
    named = [wnid for wnid in wnids_in_names(paths) if wnid]
    if named:
        return _by_name(folder, paths, named, options, notes)
    if options.labels is None:
        raise InputError(
            "The images of a flat ImageNet folder do not say their classes: give a file that does with --labels. "
            "With one folder per class, it is --format folder."
        )
    wnids = read_wnids(options, [Path(path).stem for path in paths])
    return Found(paths, sizes_below(folder, paths), [wnid for wnid, _ in wnids], dict(wnids), notes)


def _by_name(
    folder: Path, paths: Sequence[str], wnids: Sequence[str], options: FormatOptions, notes: Sequence[str]
) -> Found:
    """Labels from the wnids in the images' names, as the Hugging Face hub distributes the set."""
    if len(wnids) < len(paths):
        raise InputError(
            f"{folder} holds {len(wnids):,} images whose names end with a wnid and {len(paths) - len(wnids):,} others: "
            "they are of two downloads."
        )
    if options.labels or options.label_kind or options.synsets:
        raise InputError(f"The names of the images in {folder} hold their wnids: leave --labels out.")
    note = wnids_note(str(folder), wnids)
    return Found(paths, sizes_below(folder, paths), wnids, index_of_wnids(str(folder), wnids), [*notes, note])


IMAGENET_VAL = Format(
    "imagenet-val",
    list_imagenet_val,
    takes=frozenset({"labels", "label_kind", "synsets"}),
)
