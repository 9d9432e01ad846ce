"""Listings of a bucket, several pages at a time.

A store gives a thousand objects a page, and tells with a page where the next one begins: one after the other, the pages of a large
table take longer than all else that a question waits for. An earlier listing tells where pages may begin now. It only tells where
to cut: the pieces together are the whole listing, whatever was written or deleted since.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import obstore

from featurestore.machine import ahead

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from obstore import ObjectMeta
    from obstore.store import ObjectStore

PAGE = 1000
"""Objects that a store tells of in one answer."""
FILLED = 900
"""Objects of a piece when it is cut: some may come before it no longer fits on a page."""


def listed(store: ObjectStore, prefix: str, cuts: Sequence[str], at_once: int) -> Iterator[list[ObjectMeta]]:
    """All objects below a prefix, in the order of their keys; of cut listings, in one piece more than there are cuts.

    Args:
        store: A store; with cuts, one that lists in order, and from a given key on.
        prefix: What all keys begin with.
        cuts: Where to cut, in order: a piece ends with the last key that is not greater.
        at_once: How many requests are worth having under way.
    """
    if not cuts:
        yield from obstore.list(store, prefix)
        return
    pieces = (partial(_piece, store, prefix, *ends) for ends in pairwise([None, *cuts, None]))
    with ThreadPoolExecutor(min(at_once, len(cuts) + 1)) as pool, closing(ahead(pool, pieces, at_once)) as found:
        yield from found


def _piece(store: ObjectStore, prefix: str, after: str | None, last: str | None) -> list[ObjectMeta]:
    found: list[ObjectMeta] = []
    for batch in obstore.list(store, prefix, offset=after):
        found += batch
        if last is not None and found[-1]["path"] > last:
            return [meta for meta in found if meta["path"] <= last]
    return found


class Cutting:
    """Where the next listing is to be cut, told by this one as it comes.

    It is cut between folders: what lies in one folder, as all versions of a manifest do, is told of in one piece. So no new version
    comes in a piece that is listed already while the old one goes before its own is.

    Args:
        cuts: Those of this listing.
    """

    def __init__(self, cuts: Sequence[str]) -> None:
        self._cuts, self._next = list(cuts), list[str]()
        self._last, self._since, self._longest = "", 0, 0
        self._is_ordered = True

    def see(self, piece: Sequence[ObjectMeta]) -> None:
        """Take the next piece of the listing."""
        self._longest = max(self._longest, len(piece))
        for meta in piece:
            key = meta["path"]
            self._is_ordered &= key > self._last
            if self._since >= FILLED and self._begins(_folder(key)):
                self._next.append(_folder(key))
                self._since = 0
            self._last, self._since = key, self._since + 1

    def _begins(self, folder: str) -> bool:
        """Whether to cut before a folder: cuts are in order, and `a` comes before `a-b` by its name, but behind it by its keys."""
        return folder != _folder(self._last) and (not self._next or folder > self._next[-1])

    def better(self) -> list[str] | None:
        """Other cuts than those of this listing, once all of it came; None where these do, or there are no others."""
        found = self._next if self._is_ordered else []  # a store that lists in no order is never cut
        does = self._cuts and self._longest <= PAGE and len(self._cuts) <= 2 * len(found) + 1
        return None if does or found == self._cuts else found


def _folder(key: str) -> str:
    return key.rpartition("/")[0]
