"""The registry of shipped pools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from extract.pools import maha_pp_2025, vit_ood_2024
from featurestore.names import pick

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from extract.pools.entry import PoolEntry


@dataclass(frozen=True, slots=True)
class NamedPool:
    """A shipped pool.

    Attributes:
        name: What `--pool` takes.
        entries: Makes its models.
        unmapped: Models that it should have and that nobody publishes in a form that can be loaded, each with a remark.
    """

    name: str
    entries: Callable[[], Sequence[PoolEntry]]
    unmapped: Callable[[], Mapping[str, str]] = dict


POOLS = {
    pool.name: pool
    for pool in (
        NamedPool("vit-ood-2024", vit_ood_2024.entries),
        NamedPool("maha-pp-2025", maha_pp_2025.entries, maha_pp_2025.unmapped),
    )
}


def named_pool(name: str) -> NamedPool:
    """The shipped pool of that name.

    Raises:
        MissingError: There is none; the message names the nearest.
    """
    return POOLS[pick("pool", name, POOLS)]
