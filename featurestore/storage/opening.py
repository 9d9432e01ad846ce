"""From a lake's location to its storage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from featurestore.settings import read_settings
from featurestore.storage.local import LocalStorage
from featurestore.storage.remote import ObjectStorage

if TYPE_CHECKING:
    from featurestore.storage.base import Storage


def open_storage(location: str) -> Storage:
    """Open the storage of a lake: a folder, or a URL such as `s3://bucket/prefix`.

    A lake elsewhere takes its endpoint from `featurestore.toml`, where that says one.

    Raises:
        InputError: The location is a file, a URL that no store knows, or the settings cannot be read.
    """
    if location.startswith("file://"):
        return LocalStorage(Path(unquote(urlsplit(location).path)))
    return ObjectStorage(location, read_settings()) if "://" in location else LocalStorage(Path(location))
