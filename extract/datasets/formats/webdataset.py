"""Members of a tar that are one sample: those with one key, the path up to the first dot of the file's name."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from extract.datasets.formats.suffixes import suffix_of
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

SIDECARS = (".cls", ".json", ".txt")
_SHOWN = 5


def key_of(name: str) -> str:
    """The path up to the first dot of the file name, as WebDataset groups members into samples."""
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.partition(".")[0]


def extension_of(name: str) -> str:
    """What follows the key's dot, in lower case: `seg.png` of `0001.seg.png`."""
    return name[len(key_of(name)) + 1 :].lower()


def of_image_key(location: str, images: Iterable[str], wanted: str) -> list[str]:
    """The images whose extension is one of those wanted, `jpg` or `jpg;png`.

    Raises:
        InputError: There is none, or two of them have one key.
    """
    everything = list(images)
    extensions = set(wanted.lower().split(";"))
    found = [name for name in everything if extension_of(name) in extensions]
    if not found:
        counts = Counter(map(extension_of, everything))
        there = ", ".join(f"{count:,} {name}" for name, count in counts.most_common(_SHOWN))
        raise InputError(f"{location} has no image with the key {wanted!r}: those in it are {there}.")
    _check_one_each(location, found, wanted)
    return found


def _check_one_each(location: str, images: Sequence[str], wanted: str) -> None:
    twice = next((key for key, count in Counter(map(key_of, images)).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"{location} has several images {wanted!r} of the sample {twice}: name one with --image-key.")


def several_images(location: str, images: Iterable[str], *, has_classes: bool) -> str | None:
    """Why images are in doubt: samples have several, such as a photograph and its mask; None if they are not.

    Where no member says a class, names may hold dots of their own, as `img.001.png`; then it takes two samples or more, all of
    which have images with the same extensions, of which one is a word before a suffix.
    """
    extensions: dict[str, set[str]] = defaultdict(set)
    for name in images:
        extensions[key_of(name)].add(extension_of(name))
    several = [key for key, found in extensions.items() if len(found) > 1]
    if not several:
        return None
    first = sorted(extensions[several[0]])
    worded = any("." in extension and extension[0].isalpha() for extension in first)
    if not has_classes and not (
        worded and len(extensions) > 1 and all(found == set(first) for found in extensions.values())
    ):
        return None
    return (
        f"{location} has several images under one key in {len(several):,} of {len(extensions):,} samples (first: {several[0]} has "
        f"{', '.join(first)}): say which is meant with --image-key, as --image-key {min(first, key=len)}."
    )


def without_image(location: str, others: Iterable[str], images: Collection[str]) -> list[str]:
    """A line on the keys that have a class or a text, but no image; none if there are none."""
    keys = {key_of(name) for name in images}
    orphans = sorted({key_of(name) for name in others if suffix_of(name) in SIDECARS} - keys)
    verb = "has" if len(orphans) == 1 else "have"
    samples = "sample" if len(orphans) == 1 else "samples"
    return (
        [f"{location}: {len(orphans):,} {samples} {verb} no image that is read (first: {orphans[0]})"]
        if orphans
        else []
    )
