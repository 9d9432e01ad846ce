"""What folders and files on disk look like, so that a later look tells whether anything in them has changed."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from featurestore.fragments import verdicts
from featurestore.layout import paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from featurestore.layout.tables import Table

MODEL = "model"
"""The key of whose folders each is looked at."""


def entries(place: str) -> list[tuple[str, bool]]:
    """What is in a folder, and whether it is one; nothing where there is none."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(place) as entries:
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    return []


def look_at(place: str, table: Table) -> tuple[Sequence[Any], list[str]]:
    """What there is in a model's folder now.

    Returns:
        Paths below it with what tells that nothing changed there since: of the folders down to its partitions, and of their newest
        manifests. Nothing, if it changed so shortly before that it may change again, and show the same. And these manifests.
    """
    began = time.time_ns()
    folders = [""]
    seen: list[tuple[str, list[int]]] = [("", _told(place))]
    for key in table.keys[table.keys.index(MODEL) + 1 :]:
        inside = [
            f"{folder}{name}/"
            for folder in folders
            for name, is_folder in entries(f"{place}/{folder}")
            if is_folder and name.startswith(f"{key}=")
        ]
        folders = sorted(inside)
        seen += [(folder, _told(f"{place}/{folder}")) for folder in folders]
    newest = []
    for folder in folders:
        versions = (paths.manifest_version(name) for name, is_folder in entries(f"{place}/{folder}") if not is_folder)
        version = max(filter(None, versions), default=0)
        if version:
            newest.append(f"{folder}{paths.manifest_name(version)}")
            seen.append((newest[-1], _told(f"{place}/{newest[-1]}")))
    is_settled = all(max(told[:2]) < began - verdicts.SETTLED_NS for _, told in seen)
    return (seen if is_settled else []), newest


def _told(place: str) -> list[int]:
    """What differs once a file or folder does."""
    status = os.stat(place)  # noqa: PTH116 # of some ten thousand
    return [status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size]


def is_as_seen(place: str, seen: Iterable[Any]) -> bool:
    """Whether what there was at a look is there still, unchanged."""
    try:
        return all(_told(f"{place}/{path}") == told for path, told in seen)
    except (FileNotFoundError, NotADirectoryError):
        return False
