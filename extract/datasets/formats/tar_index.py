"""Where the members of a tar file lie in it."""

from __future__ import annotations

import tarfile
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from extract.datasets.formats.walk import is_image, version
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SHARDS_AT_ONCE = 4


class TarMember(NamedTuple):
    """A file in a tar: where its bytes begin, and how many they are."""

    offset: int
    size: int


def index_of(shard: Path) -> Mapping[str, TarMember]:
    """The members of a tar file by name, in order; the latest indices are kept, each process its own.

    Raises:
        InputError: The file is not an uncompressed tar, is cut, or holds an image twice.
    """
    return _index(*version(shard))


def read_member(shard: Path, member: TarMember) -> bytes:
    """Read a member's bytes.

    Raises:
        EOFError: The tar file ends before.
    """
    with shard.open("rb") as file:
        file.seek(member.offset)
        content = file.read(member.size)
    if len(content) < member.size:
        raise EOFError("the tar file is cut")
    return content


@lru_cache(maxsize=_SHARDS_AT_ONCE)
def _index(path: str, _size: int, _time: int) -> dict[str, TarMember]:
    index: dict[str, TarMember] = {}
    try:
        with tarfile.open(path, "r:") as tar:
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
