"""Which classes of an OOD dataset the data of a pretraining are said to hold: such a model has seen them, and they are less OOD to it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from featurestore.errors import InputError
from featurestore.names import pick

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

Seen: TypeAlias = Mapping[str, Sequence[str] | None]
"""By pretraining data, the classes of a dataset that these hold; None for all."""
NOTHING_SEEN: Mapping[str, Sequence[str]] = MappingProxyType({})
_DATA = re.compile(r"[\w.+-]+")


def read_seen(said: str | Iterable[str] | Mapping[str, Sequence[str] | None] | None) -> Seen:
    """What `--seen-in` says: `DATA`, or `DATA=FILE` with a text file that lists classes, one a line.

    Args:
        said: One text or several, an empty one takes back what was said before; or a mapping, which is as it is.

    Returns:
        By pretraining data, the classes that they hold; None for all.

    Raises:
        InputError: A file cannot be read.

    >>> read_seen(["in21k"])
    {'in21k': None}
    """
    if isinstance(said, Mapping):
        return said
    found: dict[str, Sequence[str] | None] = {}
    for text in [said] if isinstance(said, str) else said or ():
        data, equals, file = text.partition("=")
        found[data] = _listed(Path(file)) if equals else None
    return found


def seen_classes(before: str | None, said: Seen, classes: Collection[str], role: str) -> str | None:
    """The column `seen_classes` of a dataset: a JSON object.

    Args:
        before: What it said; None for nothing.
        said: By pretraining data as `models` name them, the classes of the dataset that they hold; None for all. It goes before
            what was said of the same data; an empty name takes back all that was said before.
        classes: The dataset's classes.
        role: Its role.

    Raises:
        InputError: The dataset is not OOD, data have no name that `models` could have, or a class is none of the dataset.
    """
    if said and role != "ood":
        raise InputError(f"--seen-in is for OOD datasets: what a dataset with the role {role} holds is to be known.")
    held = {} if "" in said else seen_of(before, classes)
    for data, names in said.items():
        if data and not _DATA.fullmatch(data):
            raise InputError(f"--seen-in {data!r} is no name of pretraining data, as in21k is.")
        for name in names or ():
            pick("class in the dataset", name, classes)
    held |= {data: sorted(set(classes if names is None else names)) for data, names in said.items() if data}
    return json.dumps(dict(sorted(held.items())), ensure_ascii=False) if held else None


def seen_of(column: str | None, classes: Collection[str]) -> dict[str, list[str]]:
    """What the column says of these classes, by pretraining data."""
    return {data: [name for name in names if name in classes] for data, names in json.loads(column or "{}").items()}


def _listed(file: Path) -> list[str]:
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--seen-in takes DATA, or DATA=FILE with a list of classes; {file} cannot be read: "
            f"{getattr(error, 'strerror', None) or error}."
        ) from error
