"""What lies in a lake beside its tables: a user's own questions, and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.layout.tables import TABLES
from featurestore.query.library import FOLDER
from featurestore.settings import FILE
from featurestore.transfer.comparison import Disagreement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featurestore.storage import Storage


def loose_files(storage: Storage, *, settings: bool) -> dict[str, bytes]:
    """The files of `questions/`, and `featurestore.toml` if it is asked for, by key."""
    keys = sorted(storage.names(FOLDER))
    if settings and storage.size(FILE) is not None:
        keys.append(FILE)
    return {key: storage.get(key) for key in keys}


def differing_files(
    files: dict[str, bytes], other: Storage, *, replacing: bool = False
) -> tuple[dict[str, bytes], list[Disagreement]]:
    """The files to bring to another lake, and those it has with other content; with `replacing`, the latter are brought too."""
    held = {key: other.get(key) if other.size(key) is not None else None for key in files}
    lacking = {key: data for key, data in files.items() if held[key] is None or (replacing and held[key] != data)}
    other_content = [key for key, data in files.items() if held[key] not in (None, data)]
    return lacking, [Disagreement(key, "the two files differ", "question", key) for key in other_content]


def put_files(files: dict[str, bytes], target: Storage, *, replacing: bool = False) -> None:
    """Write files that the target lacks; one that came meanwhile stays, unless it is to be replaced."""
    for key, data in files.items():
        (target.put if replacing else target.create)(key, data)


def strangers(storage: Storage) -> Sequence[str]:
    """Keys, in order, of objects at a lake's location that are no part of a lake."""
    return sorted(key for key in storage.names("") if key != FILE and key.partition("/")[0] not in {*TABLES, FOLDER})
