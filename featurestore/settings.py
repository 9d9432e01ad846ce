"""`featurestore.toml`: what is the same for every command of a project."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from featurestore.errors import InputError
from featurestore.names import pick

FILE = "featurestore.toml"
_TRUTHS = {"path_style", "cache_activations"}


@dataclass(frozen=True, slots=True)
class Settings:
    """The file's values; None where it says nothing.

    Attributes:
        lake: Location of the lake.
        endpoint: URL of an S3-compatible store.
        region: Its region.
        path_style: Whether buckets stand in the URL's path rather than in its host name.
        cache: Folder in which what is read of buckets is kept.
        cache_size: How much it may hold, e.g. 20GB.
        cache_activations: Whether large fragments of activations are kept there, too.
    """

    lake: str | None = None
    endpoint: str | None = None
    region: str | None = None
    path_style: bool | None = None
    cache: str | None = None
    cache_size: str | None = None
    cache_activations: bool | None = None


def read_settings() -> Settings:
    """Read `$FEATURESTORE_CONFIG`, else `featurestore.toml` in the working folder or the nearest one above it.

    Raises:
        InputError: The file is not TOML, or has an unknown key or a value of another type.
    """
    file = _find()
    if file is None:
        return Settings()
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read the settings {file}: {error}.") from error
    for name, value in values.items():
        _check(file, name, value)
    return Settings(**values)


def _find() -> Path | None:
    if named := os.environ.get("FEATURESTORE_CONFIG"):
        return Path(named)
    here = Path.cwd()
    return next((folder / FILE for folder in (here, *here.parents) if (folder / FILE).is_file()), None)


def _check(file: Path, name: str, value: Any) -> None:
    pick(f"setting of {file}", name, [field.name for field in fields(Settings)])
    expected = bool if name in _TRUTHS else str
    if not isinstance(value, expected):
        raise InputError(f"{file}: {name} must be {'true or false' if expected is bool else 'text'}, not {value!r}.")
