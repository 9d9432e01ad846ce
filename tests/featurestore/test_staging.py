"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NoReturn

import pytest

from featurestore.staging import STAGED, staged, write_whole

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_written_with_its_folder(tmp_path: Path) -> None:
    write_whole(tmp_path / "new" / "file", b"whole")
    assert (tmp_path / "new" / "file").read_bytes() == b"whole"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


def test_a_failure_leaves_the_old_file_and_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there stays as it was until all of the new content is on disk."""

    def refuse(path: Path, _: object) -> NoReturn:
        assert path.read_bytes() == b"new"
        raise OSError(28, "No space left on device")

    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "file", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]


def test_halves_lie_where_they_do_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process leaves its half in the scratch folder, under a hidden name."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("pathlib.Path.unlink", lambda *_, **__: None)
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: None)
    write_whole(tmp_path / "images" / "image", b"pixels", scratch=scratch)
    assert not list((tmp_path / "images").iterdir())
    (half,) = scratch.iterdir()
    assert half.name.startswith(STAGED)


def test_two_writers_of_one_file_have_names_of_their_own(tmp_path: Path) -> None:
    with staged(tmp_path) as one, staged(tmp_path) as other:
        one.touch()
        assert one != other
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_goes_with_the_next_file(tmp_path: Path) -> None:
    """After an hour nobody writes a half any more; what is young may be another process's."""
    for name, age in ((f"{STAGED}old", 7200), (f"{STAGED}young", 60), ("mine", 7200)):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    write_whole(tmp_path / "file", b"whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{STAGED}young", "file", "mine"]


def test_a_link_stays_one_and_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    """Moving a file onto /dev/stdout would take that away for everybody."""
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_whole(tmp_path / "link", b"whole")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"whole"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_whole(tmp_path / "pipe", b"whole")
    assert os.read(reader, 9) == b"whole"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()
