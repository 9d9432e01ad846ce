"""From a lake's location to its storage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from featurestore.storage.local import LocalStorage
from featurestore.storage.remote import ObjectStorage

if TYPE_CHECKING:
    from featurestore.storage.base import Storage


def open_storage(location: str) -> Storage:
    """Open the storage of a lake: a folder, or a URL such as `s3://bucket/prefix`.

    Raises:
        InputError: The location is a file, or a URL that no store knows.
    """
    if location.startswith("file://"):
        return LocalStorage(Path(unquote(urlsplit(location).path)))
    return ObjectStorage(location) if "://" in location else LocalStorage(Path(location))
