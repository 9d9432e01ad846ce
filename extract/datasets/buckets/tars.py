"""Tars in a bucket: read once from end to end for their index, then by ranges, which stand in the images' addresses."""

from __future__ import annotations

import io
import posixpath
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from extract.datasets.buckets.bucket import ManyAtOnce, asked, objects_below, parent_url, storage_at
from extract.datasets.formats import expanded, list_packed, read_index
from featurestore.errors import InputError, LakeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extract.datasets.formats import FormatOptions, Found, TarMember
    from featurestore.storage import StoredObject

_SUFFIX = ".tar"
_AHEAD = 4 << 20
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class PackedReader(ManyAtOnce):
    """Images by `<tar>/<name>@<offset>+<size>`, so that no process needs an index."""

    url: str

    def read(self, path: str) -> bytes:
        """The bytes of a member."""
        name, _, place = path.rpartition("@")
        shard, suffix, _ = name.partition(_SUFFIX + "/")
        offset, size = map(int, place.split("+"))
        return storage_at(_base(self.url)).read_range(shard + suffix.rstrip("/"), offset, offset + size)


class BucketTar:
    """One tar.

    Args:
        url: The folder that it lies in.
        key: Its key there.
        size: Its size in bytes.
    """

    def __init__(self, url: str, key: str, size: int) -> None:
        self._url, self._key = url, key
        self._file = io.BufferedReader(storage_at(url).open_input(key, size), _AHEAD)

    def __str__(self) -> str:
        return f"{self._url}/{self._key}"

    @cached_property
    def members(self) -> Mapping[str, TarMember]:
        """Its members by name, in order."""
        return read_index(str(self), self._file)

    def read(self, member: TarMember) -> bytes:
        """A member's bytes; of members that follow each other, many come in one answer."""
        self._file.seek(member.offset)
        return self._file.read(member.size)


def list_tar_there(location: str, role: str, options: FormatOptions) -> Found:
    """List the images of tars in a bucket, as of tars here.

    Raises:
        InputError: There is no tar or no image, classes are missing or in doubt, or the store cannot be reached.
    """
    try:
        shards = {f"{each.key}/": BucketTar(_base(location), each.key, each.bytes) for each in _tars(location)}
        found = list_packed(location, shards, role, options, Counter())
    except LakeError as error:
        raise InputError(str(error)) from error
    return replace(found, paths=[_address(path, shards) for path in found.paths])


def _address(path: str, shards: Mapping[str, BucketTar]) -> str:
    shard, suffix, name = path.partition(_SUFFIX + "/")
    member = shards[shard + suffix].members[name]
    return f"{path}@{member.offset}+{member.size}"


def stamped_tars(location: str) -> list[StampedObject]:
    """What tells cheaply whether the tars of a location changed."""
    return [StampedObject(each) for each in _tars(location)]


@dataclass(frozen=True, slots=True)
class StampedObject:
    """An object with the words of a file that its format is asked for: its name, its size and its time."""

    stored: StoredObject

    @property
    def name(self) -> str:
        """Its key."""
        return self.stored.key

    def stat(self) -> StampedObject:
        """Itself."""
        return self

    @property
    def st_size(self) -> int:
        """Its size in bytes."""
        return self.stored.bytes

    @property
    def st_mtime_ns(self) -> int:
        """When it was written, in nanoseconds."""
        return int(self.stored.modified.timestamp() * 1e6) * 1_000


def _tars(location: str) -> list[StoredObject]:
    """The tars of a location, in order, with their keys below its base."""
    places = expanded(location)
    base = _base(location)
    if places == [location] and not location.endswith(_SUFFIX):
        below = [each for key, each in objects_below(location).items() if key.endswith(_SUFFIX)]
        if not below:
            raise InputError(f"There is no {_SUFFIX} file below {location}.")
        return below
    found = asked(base, [place.removeprefix(base + "/") for place in places])
    missing = [key for key, each in found.items() if each is None]
    if missing:
        more = f" and {len(missing) - _SHOWN:,} more" if len(missing) > _SHOWN else ""
        raise InputError(
            f"{location} names {len(places):,} files, of which {len(missing):,} are not there: {', '.join(missing[:_SHOWN])}{more}. "
            "In a bucket, a location is a file, a folder, or a range as {000..012}."
        )
    return [each for each in found.values() if each is not None]


@lru_cache(maxsize=64)
def _base(location: str) -> str:
    """The folder that the keys of a location's tars are relative to."""
    places = expanded(location)
    if len(places) == 1:
        return parent_url(location) if location.endswith(_SUFFIX) else location
    scheme, _, _ = location.partition("://")
    below = [parent_url(place).removeprefix(f"{scheme}://") for place in places]
    return f"{scheme}://{posixpath.commonpath(below)}"
