"""Many SQL files, of which most questions need a few."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from featurestore.sql_text.header import SqlFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class SqlFiles(Mapping[str, SqlFile]):
    """SQL files by name, in order of their names, each read when it is asked for.

    Args:
        readers: What reads each.
    """

    def __init__(self, readers: Mapping[str, Callable[[], SqlFile]]) -> None:
        self.readers = dict(sorted(readers.items()))

    def __getitem__(self, name: str) -> SqlFile:
        return self.readers[name]()

    def __contains__(self, name: object) -> bool:
        return name in self.readers

    def __iter__(self) -> Iterator[str]:
        return iter(self.readers)

    def __len__(self) -> int:
        return len(self.readers)
