"""Shards: a pool cut into jobs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

Item = TypeVar("Item")


def parse_shard(text: str) -> tuple[int, int]:
    """Read `3/16`: the third of sixteen.

    >>> parse_shard("3/16")
    (3, 16)

    Raises:
        InputError: It is no such pair, or there is no such shard.
    """
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if match is None:
        raise InputError(f"--shard takes N/COUNT such as 3/16, not {text!r}.")
    number, count = int(match[1]), int(match[2])
    if not 1 <= number <= count:
        raise InputError(f"There is no shard {text}: shards of {count} are 1/{count} to {count}/{count}.")
    return number, count


def cut(items: Sequence[Item], shard: str | None) -> list[Item]:
    """The items of a shard, every COUNT-th one: each item is in exactly one shard. Without a shard, all.

    Raises:
        InputError: There is no such shard.
    """
    if shard is None:
        return list(items)
    number, count = parse_shard(shard)
    return list(items[number - 1 :: count])
