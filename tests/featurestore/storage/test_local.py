from __future__ import annotations

import os
from pathlib import Path

import pytest

from featurestore.errors import InputError, StorageError
from featurestore.storage import LocalStorage, open_storage
from tests.featurestore.storage.contract import StorageContract, keys


class TestLocalStorage(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> LocalStorage:
        return LocalStorage(tmp_path / "a folder, über-long #1 %20" / "lake")

    def test_what_is_being_staged_is_not_listed(self, storage: LocalStorage) -> None:
        """A killed writer's half file is nothing to any reader."""
        storage.put("a/b/1", b"x")
        (storage.folder / "a" / "b" / ".staged-0123").write_bytes(b"half")
        assert keys(storage, "") == keys(storage, "a/b") == ["a/b/1"]

    def test_folders_of_some_levels_are_listed_and_not_what_lies_below(self, storage: LocalStorage) -> None:
        """Of the names that are asked for at each level; files on the way, and what is being staged, are none."""
        for key in (
            "t/a=1/b=2/m",
            "t/a=1/b=2/c=3/deep",
            "t/a=1/b=2/.staged-1",
            "t/a=1/x=2/m",
            "t/b=1/b=2/m",
            "t/a=1/n",
            "t/n",
        ):
            storage.put(key, b"x")
        assert [*storage.marked_in("t", ["a=", "b="])] == [("t/a=1/b=2/m", "")]
        assert [*storage.marked_in("t/a=1", ["x=2"])] == [("t/a=1/x=2/m", "")]
        assert [*storage.marked_in("nothing", ["a="])] == []
        whole = {key for key, _ in storage.marked_in("t/a=1/b=2", [])}
        assert whole == {"t/a=1/b=2/m"}

    def test_writing_leaves_only_the_objects(self, storage: LocalStorage) -> None:
        """Nothing staged stays, not after a lost race either."""
        storage.put("a/b", b"1")
        storage.put("a/b", b"2")
        assert not storage.create("a/b", b"3")
        assert [path.name for path in storage.folder.rglob("*") if path.is_file()] == ["b"]

    def test_a_failed_write_leaves_what_was_there(self, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
        """An error before the data is on disk: one sentence, the old object, nothing staged."""
        storage.put("a/b", b"old")

        def fail(_: int) -> None:
            raise OSError(5, os.strerror(5))

        monkeypatch.setattr(os, "fsync", fail)
        for write in (storage.put, storage.create):
            with pytest.raises(StorageError, match=r"^Cannot write a/b in the lake at .*: Input/output error\.$"):
                write("a/b", b"new")
        assert storage.get("a/b") == b"old"
        assert keys(storage, "") == ["a/b"]

    def test_data_is_synced_before_it_counts(self, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
        """The file before its name, and the folder after: each new folder in its parent too."""
        synced: list[str] = []
        fsync = os.fsync

        def record(descriptor: int) -> None:
            name = os.path.relpath(Path(f"/proc/self/fd/{descriptor}").readlink(), storage.folder)
            synced.append("data" if ".staged-" in name else name)
            assert not (storage.folder / "a" / "b" / "c").exists() or name == "a/b"
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", record)
        assert storage.create("a/b/c", b"x")
        assert synced == ["../..", "..", ".", "a", "data", "a/b"]

    @pytest.mark.parametrize("scheme", ["", "file://"])
    def test_a_path_and_its_url_are_one_lake(self, tmp_path: Path, scheme: str) -> None:
        """`file:///…` is a folder as well."""
        open_storage(str(tmp_path)).put("a", b"x")
        storage = open_storage(f"{scheme}{tmp_path}")
        assert (storage.get("a"), storage.uri("a")) == (b"x", str(tmp_path / "a"))

    def test_a_file_is_no_lake(self, tmp_path: Path) -> None:
        """Said at once, not at the first write."""
        (tmp_path / "file").write_text("x")
        with pytest.raises(InputError, match="is a file: give a folder"):
            open_storage(str(tmp_path / "file"))

    def test_a_folder_where_an_object_should_be_is_an_error(self, storage: LocalStorage) -> None:
        """One sentence, whichever verb meets it."""
        storage.put("a/b/c", b"x")
        with pytest.raises(StorageError, match=r"^Cannot write a/b in the lake at .*: Is a directory\.$"):
            storage.put("a/b", b"x")
        with pytest.raises(StorageError, match=r"^Cannot write a/b/c/d in the lake at .*: Not a directory\.$"):
            storage.put("a/b/c/d", b"x")

    def test_a_folder_that_cannot_be_looked_into_is_an_error(self, storage: LocalStorage) -> None:
        """What is in it is not left out in silence; a file, or nothing, holds no objects."""
        storage.put("a/b/c", b"x")
        (storage.folder / "loop").symlink_to("loop")
        assert list(storage.names("a/b/c")) == list(storage.names("nowhere")) == []
        with pytest.raises(
            StorageError, match=r"^Cannot list loop in the lake at .*: Too many levels of symbolic links\.$"
        ):
            list(storage.names("loop"))
