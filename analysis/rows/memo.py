"""Compute a shared intermediate result once, and hand it to everyone who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

Value = TypeVar("Value")


class Memo:
    """A dictionary that fills itself; it lives and dies with the block or the fit whose results it keeps."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[Hashable, Any] = {}

    def get(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """Return the value under `key`, computing it the first time."""
        if key not in self._values:
            self._values[key] = compute()
        value: Value = self._values[key]
        return value
