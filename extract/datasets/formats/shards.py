"""The files of a location: one, those below a folder, or those that globs, braces and `::` name, as shards are written."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from extract.datasets.formats.suffixes import suffix_of
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_SEVERAL = "::"
_SHOWN = 3
_MOST = 1_000_000


def files_at(location: str, suffix: str) -> list[Path]:
    """The files of a location, in order.

    Args:
        location: A file; a folder, with what lies below it, but for hidden files and folders; a glob; or names with braces,
            `shard-{000..012}.tar` or `{train,val}.tar`, or several of these with `::` between them.
        suffix: What files in a folder end with.

    Raises:
        InputError: There are none, or some of those that braces and `::` name are not there.
    """
    found: list[Path] = []
    missing: list[str] = []
    places = expanded(location)
    for place in places:
        there = _files(place, suffix)
        found += there
        missing += [] if there else [place]
    if missing and len(places) > 1:
        more = f" and {len(missing) - _SHOWN:,} more" if len(missing) > _SHOWN else ""
        raise InputError(
            f"{location} names {len(places):,} files, of which {len(missing):,} are not there: {', '.join(missing[:_SHOWN])}{more}."
        )
    if missing:
        raise InputError(
            f"There is no file {location}: expected a {suffix} file, a folder of them, a quoted glob, or a range as {{000..012}}."
        )
    return list(dict.fromkeys(found)) if len(places) > 1 else found


def others_at(location: str, suffix: str) -> Counter[str]:
    """How many files of other suffixes lie in a location that is a folder, by suffix."""
    found = _below(Path(location), "") if os.path.isdir(location) else ()  # noqa: PTH112 # it may be a long list
    return Counter(suffix_of(path.name) for path in found if not path.name.endswith(suffix))


def expanded(location: str) -> list[str]:
    """The places that a location's braces and `::` stand for, in order; itself, if there is such a file.

    >>> expanded("a-{08..10}.tar::b-{x,y}.tar")
    ['a-08.tar', 'a-09.tar', 'a-10.tar', 'b-x.tar', 'b-y.tar']
    """
    if os.path.exists(location):  # noqa: PTH110 # a Path raises for a list too long to be a name
        return [location]
    return [place for part in location.split(_SEVERAL) for place in _without_braces(part)]


def absolute(location: str) -> str:
    """The same location from any working directory; a URL is."""
    if "://" in location:
        return location.rstrip("/")
    if _SEVERAL not in location or os.path.exists(location):  # noqa: PTH110 # as above
        return str(Path(location).absolute())
    return _SEVERAL.join(str(Path(part).absolute()) for part in location.split(_SEVERAL))


def base_of(location: str) -> Path:
    """The folder that addresses of files at a location are relative to."""
    return _common_base(location) if _SEVERAL in location or "{" in location else _base(location)


def address(file: Path, location: str) -> str:
    """The relative address of a file."""
    return file.relative_to(base_of(location)).as_posix()


def _without_braces(place: str) -> list[str]:
    """A place's braces expanded: ranges of numbers keep their zeros, as WebDataset and shells read them."""
    if not _BRACES.search(place):
        return [place]
    parts = _BRACES.split(place)  # every other one stood in braces
    choices = [_choices(part) if number % 2 else [part] for number, part in enumerate(parts)]
    return ["".join(chosen) for chosen in itertools.product(*choices)]


def _choices(inside: str) -> Sequence[str]:
    match = _RANGE.fullmatch(inside)
    if not match:
        return inside.split(",")
    first, last = match.groups()
    if not 0 <= int(last) - int(first) < _MOST:
        raise InputError(f"The range {{{inside}}} is of no use: it must count up, by less than {_MOST:,}.")
    return [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]


def _files(location: str, suffix: str) -> list[Path]:
    place = Path(location)
    if place.is_file():
        return [place]
    found = _below(place, suffix) if place.is_dir() else _matching(location)
    return sorted(path for path in found if path.is_file())


def _matching(pattern: str) -> Iterator[Path]:
    """What a glob matches, behind links too, but nothing hidden; a file that a link leads to again counts once."""
    found = [Path(path) for path in glob.glob(pattern, recursive=True)]  # noqa: PTH207 # pathlib's follows no links
    once = {(os.path.realpath(path.parent), path.name): path for path in sorted(found, key=_depth, reverse=True)}
    yield from once.values()


def _depth(path: Path) -> int:
    return len(path.parts)


def _below(folder: Path, suffix: str) -> Iterator[Path]:
    """Files below a folder, and behind links to folders, each folder once."""
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        here = os.path.realpath(root)
        if here in seen:
            folders.clear()
            continue
        seen.add(here)
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(root, name) for name in names if name.endswith(suffix) and not name.startswith("."))


@lru_cache(maxsize=64)
def _common_base(location: str) -> Path:
    return Path(os.path.commonpath([_base(place) for place in expanded(location)]))


def _base(location: str) -> Path:
    place = Path(location)
    if place.is_dir():
        return place
    magic = next((n for n, part in enumerate(place.parts) if glob.has_magic(part)), len(place.parts) - 1)
    return Path(*place.parts[: min(magic, len(place.parts) - 1)])
