"""Image folders: `LOCATION/<class>/**/<image>`, with a class for each of the first folders."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from extract.datasets.formats.format import Format, Found
from extract.datasets.formats.splits import SplitFolders, choose_split, split_folders, splits_of_images
from extract.datasets.formats.suffixes import passed_over, suffixes_found, suffixes_read
from extract.datasets.formats.walk import images_below, look_below, sizes_below
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extract.datasets.formats.format import FormatOptions

_SHOWN = 3
_FORMAT_OF_FILE = {".csv": "csv", ".parquet": "parquet", ".tar": "tar"}


def list_folder(location: str, role: str, options: FormatOptions) -> Found:
    """List the images of a folder; the first folder of each path is its class, or the first below the split.

    An OOD folder may also hold its images directly: they are one class, of the folder's name.

    Raises:
        InputError: The folder is missing or empty, or images of an ID dataset lie outside class folders; or there is no such split.
    """
    folder = Path(location)
    check_folder(folder, "folder", "a folder with one folder of images per class")
    found = found_in_folders(location, *look_below(folder, suffixes_read(options)), role, options)
    return replace(found, bytes=sizes_below(folder, found.paths))


def found_in_folders(
    location: str, everything: Sequence[str], others: Counter[str], role: str, options: FormatOptions
) -> Found:
    """The images of folders, wherever they lie, with their classes and without their sizes.

    Args:
        location: What messages call the folder.
        everything: The images below it.
        others: How many files are none, by suffix.
        role: The dataset's role.
        options: `split`, if one was named.

    Raises:
        InputError: There is none, or no such split, or images of an ID dataset lie outside class folders.
    """
    splits = split_folders(everything)
    paths = _of_split(location, everything, splits, options)
    if not paths:
        raise InputError(
            f"There is no image below {location}: expected folders of images, one per class.{_only(others)}"
        )
    refusal = _in_doubt(location, everything, splits) if options.split is None else None
    by_split = splits if options.split else None
    classes = [_class_of(path, location, "ood" if refusal else role, by_split) for path in paths]
    nested = _nested(location, paths, classes) if role != "ood" and not splits and options.adding else []
    counted = +(others + Counter({"images of other splits": len(everything) - len(paths)}))
    notes = [*passed_over(location, len(paths), counted), *nested]
    return Found(paths, (), classes, None, notes, suffixes_found(paths), refusal)


def _in_doubt(location: str, everything: Sequence[str], splits: SplitFolders | None) -> str | None:
    """Why one split must be chosen; None if there are not several."""
    if splits:
        return splits.refusal(location)
    named = splits_of_images(everything)
    if named is None:
        return None
    kinds = sorted(set(named.values()))
    return (
        f"The images in {location} are called after splits ({', '.join(kinds)}), which are different datasets: choose one with "
        f"--split {kinds[0]}; if they are one dataset, give its images with --format csv."
    )


def _nested(location: str, paths: Sequence[str], classes: Sequence[str]) -> list[str]:
    """A line on folders inside of class folders, which could be the classes; none if all are called alike."""
    inner = {tuple(folders[:2]) for path in paths if len(folders := path.split("/")[:-1]) > 1}
    if len({second for _, second in inner}) < 2:  # as in ant/images, bee/images
        return []
    outer = sorted(set(classes))
    shown = ", ".join(outer[:_SHOWN]) + (", …" if len(outer) > _SHOWN else "")
    those = f"the {len(inner):,} folders inside of these are not (first: {'/'.join(min(inner))})"
    return [f"{location}: its first folders are the classes ({len(outer):,}: {shown}); {those}"]


def names_in(location: str, options: FormatOptions) -> Sequence[str]:
    """The images of a folder, or of the split of it, by name."""
    found = images_below(Path(location), suffixes_read(options))
    return found if options.split is None else _of_split(location, found, split_folders(found), options)


def _of_split(
    location: str, paths: Sequence[str], splits: SplitFolders | None, options: FormatOptions
) -> Sequence[str]:
    if options.split is None:
        return paths
    if splits is None and (named := splits_of_images(paths)):
        kind = choose_split(sorted(set(named.values())), options.split, location)
        return [path for path in paths if named[path] == kind]
    if splits is None:
        raise InputError(f"The folders in {location} are not splits, such as train and val: leave --split out.")
    name = splits.chosen(options.split, location)
    return [path for path in paths if path.split("/")[splits.level] == name]


def _only(others: Mapping[str, int]) -> str:
    """What a folder without images holds."""
    said = passed_over("", 0, others)
    return f" It holds{said[0].partition(';')[2]}." if said else ""


def check_folder(folder: Path, format_: str, expected: str) -> None:
    """Raise if a location is no folder."""
    if folder.is_dir():
        return
    other = "hf" if str(folder).startswith("hf:") else _FORMAT_OF_FILE.get(folder.suffix)
    hint = f" If it is meant to be read as such, say --format {other}." if other else ""
    if not folder.exists():
        raise InputError(f"There is no folder {folder}.{hint}")
    raise InputError(f"{folder} is a file: the format {format_!r} takes {expected}.{hint}")


def _class_of(path: str, location: str, role: str, splits: SplitFolders | None) -> str:
    first, slash, _ = path.partition("/")
    found = splits.class_of(path) if splits else first if slash else None
    if found is not None:
        return found
    if role == "ood":
        return PurePosixPath(location).name
    raise InputError(
        f"{location}/{path} lies outside a class folder: an ID dataset needs {location}/<class>/<image>, so that it has labels."
    )


FOLDER = Format(
    "folder",
    list_folder,
    takes=frozenset({"label_kind", "split"}),
    names=names_in,
)
