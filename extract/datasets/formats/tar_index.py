"""Where the members of a tar file lie in it."""

from __future__ import annotations

import tarfile
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

from extract.datasets.formats.suffixes import is_image
from extract.datasets.formats.walk import version
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SHARDS_AT_ONCE = 4


class TarMember(NamedTuple):
    """A file in a tar: where its bytes begin, and how many they are."""

    offset: int
    size: int


class PackedObject(Protocol):
    """A tar that lies elsewhere, whose index was read, and whose members are read by ranges."""

    @property
    def members(self) -> Mapping[str, TarMember]:
        """Its members by name, in order."""

    def read(self, member: TarMember) -> bytes:
        """A member's bytes."""


def index_of(shard: Path | PackedObject) -> Mapping[str, TarMember]:
    """The members of a tar file by name, in order; the latest indices are kept, each process its own.

    Raises:
        InputError: The file is not an uncompressed tar, is cut, or holds an image twice.
    """
    return _index(*version(shard)) if isinstance(shard, Path) else shard.members


def read_member(shard: Path | PackedObject, member: TarMember) -> bytes:
    """Read a member's bytes.

    Raises:
        EOFError: The tar file ends before.
    """
    if not isinstance(shard, Path):
        return shard.read(member)
    with shard.open("rb") as file:
        file.seek(member.offset)
        content = file.read(member.size)
    if len(content) < member.size:
        raise EOFError("the tar file is cut")
    return content


@lru_cache(maxsize=_SHARDS_AT_ONCE)
def _index(path: str, _size: int, _time: int) -> dict[str, TarMember]:
    return read_index(path)


def read_index(path: str, file: IO[bytes] | None = None) -> dict[str, TarMember]:
    """Where the members of a tar lie in it, in order.

    Args:
        path: The tar's path, or what messages call it.
        file: Its bytes, if it is no file here.

    Raises:
        InputError: As `index_of`.
    """
    index: dict[str, TarMember] = {}
    try:
        with tarfile.open(None if file else path, "r:", fileobj=file) as tar:
            for info in _members(tar):
                name = _clean(info.name)
                member = index.get(_clean(info.linkname)) if info.islnk() else TarMember(info.offset_data, info.size)
                _check(info, name, member, path, twice=name in index)
                if member is not None:
                    index[name] = member
    except tarfile.TarError as error:
        raise InputError(
            f"{path} is not a whole, uncompressed tar file ({error}): decompress it first, since images are read by offset."
        ) from error
    return index


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members but folders; the tar's own list of them is emptied, or it would hold a kilobyte for each."""
    while (info := tar.next()) is not None:
        tar.members = []  # type: ignore[attr-defined] # typeshed leaves the list out
        if not info.isdir():
            yield info


def _check(info: tarfile.TarInfo, name: str, member: TarMember | None, path: str, *, twice: bool) -> None:
    if not is_image(name):
        return
    if twice:
        raise InputError(f"{path} holds {name} more than once: each image is one sample; pack it again.")
    if member is None or info.issparse() or not (info.isreg() or info.islnk()):
        raise InputError(
            f"{name} in {path} is a link or a special file: pack it again with the images themselves (-h)."
        )


def _clean(name: str) -> str:
    return name.removeprefix("./")
