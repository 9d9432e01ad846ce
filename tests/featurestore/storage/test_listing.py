"""Listings in pieces: together they are the whole listing, wherever an earlier one told to cut."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import obstore
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from featurestore.storage import ObjectStorage, listing
from tests.s3.server import environment, new_lake, use

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KEYS = st.sets(
    st.builds("t/m={}/d={}/{}".format, *[st.sampled_from(["a", "a-b", "a.b", "b", "c"])] * 2, st.integers(0, 9)),
    max_size=60,
)

ONE_BEGINS_AS_ANOTHER = {f"t/m={name}/{number}" for name in ("a", "a-b", "a-c") for number in range(6)}
"""The folder `m=a-b` comes before `m=a` by its keys, and behind it by its name."""


def filled(keys: set[str]) -> MemoryStore:
    store = MemoryStore()
    for key in keys:
        obstore.put(store, key, b"")
    return store


def taken(store: MemoryStore, cuts: Sequence[str]) -> tuple[list[list[str]], list[str] | None]:
    """The pieces of a listing, and where the next is to be cut."""
    cutting, pieces = listing.Cutting(cuts), []
    for piece in listing.listed(store, "t", cuts, 4):
        piece.sort(key=lambda meta: meta["path"])  # which this store does not do
        cutting.see(piece)
        pieces.append([meta["path"] for meta in piece])
    return pieces, cutting.better()


@given(KEYS, KEYS)
@example(ONE_BEGINS_AS_ANOTHER, ONE_BEGINS_AS_ANOTHER)
def test_pieces_are_the_whole_whatever_came_and_went(before: set[str], after: set[str]) -> None:
    """And no folder is in two of them, so that one of its versions is always seen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "PAGE", 8)
        patch.setattr(listing, "FILLED", 5)
        cuts = taken(filled(before), [])[1] or []
        assert all(one < other for one, other in pairwise(cuts))
        pieces, better = taken(filled(after), cuts)
        assert sorted(key for piece in pieces for key in piece) == sorted(after)
        folders = [folder for piece in pieces for folder in {key.rpartition("/")[0] for key in piece}]
        assert len(folders) == len({*folders})
        assert len(cuts) == 0 or len(pieces) == len(cuts) + 1
        assert better != cuts


def test_what_was_well_cut_stays_so_and_what_grew_is_cut_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE", 8)
    monkeypatch.setattr(listing, "FILLED", 5)
    keys = {f"t/m={model}/{number}" for model in "abcdef" for number in range(3)}
    _, cuts = taken(filled(keys), [])
    assert cuts == ["t/m=c", "t/m=e"]
    assert taken(filled(keys | {"t/m=d/4"}), cuts)[1] is None
    grown = keys | {f"t/m=c/{number}" for number in range(9)}
    assert taken(filled(grown), cuts)[1] == ["t/m=c", "t/m=d", "t/m=f"]
    assert taken(filled({"t/m=a/0"}), cuts)[1] == []


def test_a_store_without_order_is_never_cut() -> None:
    cutting = listing.Cutting([])
    cutting.see([{"path": f"t/{number:04}/x"} for number in reversed(range(2000))])  # type: ignore[misc]
    assert cutting.better() is None


def test_a_bucket_tells_the_same_in_pieces(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is written and deleted after a listing that told where to cut is in the next one, and not in it."""
    monkeypatch.setattr(listing, "PAGE", 8)
    monkeypatch.setattr(listing, "FILLED", 5)
    use(monkeypatch, environment(endpoint))
    monkeypatch.setenv("FEATURESTORE_CACHE", str(tmp_path / "cache"))
    place = new_lake(endpoint)
    keys = [f"t/m={model}/{number}" for model in "abcdef" for number in range(3)]
    storage = ObjectStorage(place)
    for key in keys:
        storage.put(key, b"")
    assert sorted(storage.names("t")) == keys
    assert storage.cache is not None
    assert storage.cache.cuts("t") == ["t/m=c", "t/m=e"]
    storage.put("t/m=bb/0", b"")
    storage.put("t/m=g/0", b"")
    storage.delete(["t/m=c/0", "t/m=a/0"])
    right = sorted({*keys, "t/m=bb/0", "t/m=g/0"} - {"t/m=c/0", "t/m=a/0"})
    for again in (storage, ObjectStorage(place)):
        assert [found.key for found in again.list("t")] == right
        assert [key for key, _ in again.marked("t")] == right
    assert sorted(storage.names("")) == right
