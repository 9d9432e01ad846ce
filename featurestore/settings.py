"""`featurestore.toml`: what is the same for every command of a project."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from featurestore.errors import InputError
from featurestore.names import pick

FILE = "featurestore.toml"
_NAMED, _CONSENT, _IN_USE = "FEATURESTORE_CONFIG", "FEATURESTORE_ALLOW_HTTP", "FEATURESTORE_CONFIG_OF_LAKE"
_OF_STORES = ("endpoint", "region", "path_style")
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})
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
    return Settings() if file is None else _read(file)


def settings_of_store(*, names_lake: bool) -> tuple[Settings, str]:
    """What of the settings counts for a store, and what the user is to know of it.

    Where credentials are sent, a file that merely lies in the working folder or above it does not decide: it may have come with somebody
    else's project. Its endpoint counts for the lake that it names itself, and for what else a process reads that works on this lake; not
    for a location that the user gave. A file that `$FEATURESTORE_CONFIG` names is the user's word, and counts for all.

    Args:
        names_lake: Whether the store is of the lake that the file names, since the user named none.

    Raises:
        InputError: The file cannot be used, or would send credentials over HTTP to another machine.
    """
    file = _find()
    if file is None:
        return Settings(), ""
    settings = _read(file)
    said = [f"{name} {value}" for name in _OF_STORES if (value := getattr(settings, name)) is not None]
    if not said or os.environ.get(_NAMED) or os.environ.get(_IN_USE) == str(file):
        return settings, ""
    listed = ", ".join(said)
    if not names_lake or not _is_ours(file):
        why = "for a location that it does not name itself" if not names_lake else "since the file is another user's"
        remark = (
            f"{file} says {listed}, which does not count {why}: set AWS_ENDPOINT_URL, or {_NAMED}={file} to follow it."
        )
        return replace(settings, **dict.fromkeys(_OF_STORES)), remark
    _check_consent(file, settings.endpoint or "")
    # Processes that decode images of this lake's datasets read them from the same store.
    os.environ[_IN_USE] = str(file)
    return settings, f"As {file} says: lake {settings.lake}, {listed}."


def _is_ours(file: Path) -> bool:
    return not hasattr(os, "getuid") or file.stat().st_uid in {os.getuid(), 0}


def _check_consent(file: Path, endpoint: str) -> None:
    if not endpoint.lower().startswith("http://") or urlsplit(endpoint).hostname in _HERE:
        return
    if os.environ.get(_CONSENT, "").lower() not in {"1", "true"}:
        raise InputError(
            f"{file} would have credentials sent to {endpoint} unencrypted: use https, or consent with {_CONSENT}=1."
        )


def _read(file: Path) -> Settings:
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read the settings {file}: {error}.") from error
    for name, value in values.items():
        _check(file, name, value)
    return Settings(**values)


def _find() -> Path | None:
    if named := os.environ.get(_NAMED):
        return Path(named)
    here = Path.cwd()
    return next((folder / FILE for folder in (here, *here.parents) if (folder / FILE).is_file()), None)


def _check(file: Path, name: str, value: Any) -> None:
    pick(f"setting of {file}", name, [field.name for field in fields(Settings)])
    expected = bool if name in _TRUTHS else str
    if not isinstance(value, expected):
        raise InputError(f"{file}: {name} must be {'true or false' if expected is bool else 'text'}, not {value!r}.")
