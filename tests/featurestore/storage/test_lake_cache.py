"""What is kept on this machine of a lake elsewhere: whole or not at all, bounded, and nothing but ours goes."""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from featurestore.errors import CorruptionError, InputError
from featurestore.settings import Settings
from featurestore.storage import LakeCache, caches
from featurestore.storage.caches import CacheSettings, cache_settings, cached_lakes, clear

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = b"some bytes" * 100
KEY = "scores/model=m/0123456789ab-00000.parquet"


def digest(data: bytes = DATA) -> str:
    return hashlib.sha256(data).hexdigest()


def cache(root: Path, limit: int = 1_000_000, location: str = "s3://bucket/lake") -> LakeCache:
    return LakeCache(CacheSettings(root, limit), location)


def age(folder: Path, seconds: float) -> None:
    """Let all that lies there have been used that long ago."""
    for file in folder.rglob("*"):
        os.utime(file, (time.time() - seconds,) * 2)


def test_what_is_kept_is_read_by_other_processes_below_the_same_folders(tmp_path: Path) -> None:
    """Readers of Parquet take columns from the folders' names."""
    assert cache(tmp_path).keep(KEY, digest(), DATA)
    again = cache(tmp_path)
    assert again.read(KEY, digest()) == DATA
    assert again.holds(KEY, digest(), len(DATA))
    place = again.place(KEY, digest())
    assert place.read_bytes() == DATA
    assert (place.suffix, place.parent.name, place.parent.parent.name) == (".parquet", "model=m", "scores")


def test_another_content_under_the_same_name_is_another_file(tmp_path: Path) -> None:
    """And another mark another manifest: what was replaced in the bucket is never found under its old name."""
    kept = cache(tmp_path)
    kept.keep(KEY, digest(), DATA)
    kept.keep_marked("a/_manifest.1.json", '"tag" 5', b"first")
    assert kept.read(KEY, digest(b"other")) is None
    assert not kept.holds(KEY, digest(b"other"), len(DATA))
    assert kept.read_marked("a/_manifest.1.json", '"tag" 6') is None
    assert kept.read_marked("a/_manifest.2.json", '"tag" 5') is None
    assert kept.read_marked("a/_manifest.1.json", '"tag" 5') == b"first"
    assert cache(tmp_path, location="s3://other/lake").read(KEY, digest()) is None


@pytest.mark.parametrize("spoilt", [b"", DATA[:-1], DATA[:-1] + b"x", bytes(len(DATA))])
def test_a_file_that_is_not_whole_is_none(tmp_path: Path, spoilt: bytes) -> None:
    """As a crash or a failing disk leaves it."""
    kept = cache(tmp_path)
    kept.keep(KEY, digest(), DATA)
    kept.place(KEY, digest()).write_bytes(spoilt)
    assert kept.read(KEY, digest()) is None
    assert kept.holds(KEY, digest(), len(DATA)) == (len(spoilt) == len(DATA))
    kept.keep_marked("m.json", "mark", DATA)
    (file,) = kept.folder.glob("m.*.json")
    file.write_bytes(spoilt)
    assert kept.read_marked("m.json", "mark") is None
    assert kept.keep(KEY, digest(), DATA)
    assert kept.read(KEY, digest()) == DATA


def test_pieces_that_end_in_an_error_are_not_kept(tmp_path: Path) -> None:
    kept = cache(tmp_path)

    def pieces() -> object:
        yield DATA
        raise CorruptionError("not what it should be")

    with pytest.raises(CorruptionError):
        kept.keep_pieces(KEY, digest(), len(DATA), pieces())  # type: ignore[arg-type]
    assert not kept.holds(KEY, digest(), len(DATA))
    assert [file for file in tmp_path.rglob("*") if file.is_file() and file.name != caches.LOCATION] == []
    assert kept.keep_pieces(KEY, digest(), len(DATA), [DATA[:7], DATA[7:]])
    assert kept.read(KEY, digest()) == DATA


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path) -> None:
    """Of all lakes; what was asked for within the hour stays, and then nothing more is kept."""
    first, second = cache(tmp_path, 2500), cache(tmp_path, 2500, "s3://other/lake")
    for kept, name in ((first, "a.x"), (second, "b.x")):
        assert kept.keep(name, digest(), DATA)
    assert not first.keep("c.x", digest(), DATA)
    age(tmp_path, 2 * caches.IN_USE)
    again = cache(tmp_path, 2500)
    assert again.holds("a.x", digest(), len(DATA))  # used now: it stays, and b goes
    assert again.keep("c.x", digest(), DATA)
    assert not second.holds("b.x", digest(), len(DATA))
    assert [again.holds(name, digest(), len(DATA)) for name in ("a.x", "c.x")] == [True, True]
    assert not again.keep("large.x", digest(bytes(2501)), bytes(2501))
    assert sum(lake.bytes for lake in cached_lakes(tmp_path)) == 2 * len(DATA)


def test_only_what_is_ours_goes(tmp_path: Path) -> None:
    """A folder that somebody named as the cache by mistake keeps all else that is in it."""
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_bytes(DATA)
    kept = cache(tmp_path, 1500)
    kept.keep("a.x", digest(), DATA)
    age(tmp_path, 2 * caches.IN_USE)
    assert cache(tmp_path, 1500).keep("b.x", digest(), DATA)
    assert not kept.holds("a.x", digest(), len(DATA))
    (of_lake,) = cached_lakes(tmp_path)
    assert (of_lake.location, of_lake.files, of_lake.bytes) == ("s3://bucket/lake", 1, len(DATA))
    assert clear(tmp_path) == len(DATA)
    assert [file.name for file in tmp_path.rglob("*")] == ["thesis", "chapter.tex"]
    assert clear(tmp_path / "nowhere") == 0
    assert kept.keep("a.x", digest(), DATA)


def test_a_cache_that_cannot_be_written_says_so_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    kept = cache(tmp_path / "file")
    with pytest.warns(
        UserWarning, match=r"The cache at .*/file cannot be written \(.*\): the lake is read from its bucket"
    ):
        assert not kept.keep(KEY, digest(), DATA)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not kept.keep(KEY, digest(), DATA)
    assert kept.read(KEY, digest()) is None


def test_many_writers_and_clearers_leave_whole_files(tmp_path: Path) -> None:
    """Whoever reads meanwhile has the bytes, or nothing."""

    def work(number: int) -> bytes | None:
        kept = cache(tmp_path)
        if number % 10 == 9:
            clear(tmp_path)
        kept.keep(KEY, digest(), DATA)
        return kept.read(KEY, digest())

    with warnings.catch_warnings(), ThreadPoolExecutor(8) as pool:
        warnings.simplefilter("ignore")  # cleared twice in the middle of one write
        assert set(pool.map(work, range(200))) <= {DATA, None}


def test_the_environment_goes_before_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("", "_SIZE", "_ACTIVATIONS"):
        monkeypatch.delenv(f"FEATURESTORE_CACHE{name}", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    usual = cache_settings(Settings())
    assert (usual.limit, usual.activations, usual.root.name) == (20 * 10**9, False, "featurestore")
    said = Settings(cache=str(tmp_path / "here"), cache_size="3GB", cache_activations=True)
    assert cache_settings(said) == CacheSettings(tmp_path / "here", 3 * 10**9, activations=True)
    monkeypatch.setenv("FEATURESTORE_CACHE", str(tmp_path / "there"))
    monkeypatch.setenv("FEATURESTORE_CACHE_SIZE", "0B")
    monkeypatch.setenv("FEATURESTORE_CACHE_ACTIVATIONS", "false")
    assert cache_settings(said) == CacheSettings(tmp_path / "there", 0, activations=False)
    monkeypatch.setenv("FEATURESTORE_CACHE_ACTIVATIONS", "perhaps")
    with pytest.raises(InputError, match="FEATURESTORE_CACHE_ACTIVATIONS must be true or false, not 'perhaps'"):
        cache_settings(said)
    monkeypatch.setenv("FEATURESTORE_CACHE_SIZE", "much")
    with pytest.raises(InputError, match="is no size"):
        cache_settings(said)


def test_where_nobody_is_at_home_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "FEATURESTORE_CACHE", "FEATURESTORE_CACHE_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987_654_321)
    assert cache_settings(Settings()).limit == 0


def test_what_is_being_written_takes_room_already(tmp_path: Path) -> None:
    """Writers at the same time do not keep more together than there is room for; and what fails gives its room back."""
    kept, tried = cache(tmp_path, limit=1500), []

    def pieces(*, whole: bool) -> Iterator[bytes]:
        yield DATA[:500]
        tried.append(kept.keep("another", digest(b"b" * 1000), b"b" * 1000))
        if not whole:
            raise CorruptionError("not whole")
        yield DATA[500:]

    with pytest.raises(CorruptionError):
        kept.keep_pieces(KEY, digest(), 1000, pieces(whole=False))
    kept._full_until = 0.0
    assert kept.keep_pieces(KEY, digest(), 1000, pieces(whole=True))
    assert tried == [False, False]
    assert sum(lake.bytes for lake in cached_lakes(tmp_path)) == 1000
