"""Contents: a file overwritten at equal size is noticed by its time, then by its digest; equal bytes are no matter."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from extract.datasets import FormatOptions, add_dataset, check_contents, read_contents, read_dataset, read_listing
from extract.datasets.contents import Contents, digest_of, read_digests, unread, write_contents
from featurestore import ConflictError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from featurestore import Lake

HOUR = 3_600 * 10**9


def hold(lake: Lake, name: str = "val") -> Contents:
    """The lake knows the bytes as they are, and saw them an hour ago."""
    row, listing = read_dataset(lake, name), read_listing(lake, name)
    held = Contents(read_digests(row.reader, listing.paths), time.time_ns() - HOUR)
    write_contents(lake, name, row.digest, held)
    for path in listing.paths:
        place = f"{row.location}/{path}"
        if os.path.exists(place):  # noqa: PTH110
            date(place, -2 * HOUR)
    return held


def date(file: Path | str, since_now: int) -> None:
    """Say that a file was written some nanoseconds before or after now."""
    moment = time.time_ns() + since_now
    os.utime(file, ns=(moment, moment))


def overwrite(file: Path) -> None:
    """Other bytes, as many."""
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def check(lake: Lake, name: str = "val") -> None:
    check_contents(lake, read_dataset(lake, name), read_listing(lake, name))


def test_the_digest_is_blake2b_of_the_bytes_and_files_are_set_back(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc" * 100)
    wanted = hashlib.blake2b(b"abc" * 100, digest_size=16).digest()
    with (tmp_path / "x").open("rb") as file:
        for each in (file, io.BytesIO(b"abc" * 100)):
            assert digest_of(each) == wanted
            assert each.tell() == 0


def test_what_is_written_is_read_back_with_what_could_not_be_read(val: Lake) -> None:
    row = read_dataset(val, "val")
    digests = np.arange(15 * 16, dtype=np.uint8).reshape(15, 16)
    digests[4] = 0
    write_contents(val, "val", row.digest, Contents(digests, 7))
    read = read_contents(val, "val", row.digest)
    assert read is not None
    np.testing.assert_array_equal(read.digests, digests)
    assert read.looked_at == 7
    assert val.sql("select sample from contents where digest is null").fetchall() == [(4,)]
    assert val.sql("select digest from contents where sample = 1").fetchall() == [(bytes(range(16, 32)).hex(),)]
    assert read_contents(val, "val", "another") is None
    assert not unread(3).any()


def test_a_file_overwritten_at_equal_size_is_a_conflict_at_add_and_at_a_look(val: Lake, images: Path) -> None:
    hold(val)
    overwrite(images / "bee" / "001.png")
    with pytest.raises(ConflictError, match=r"1 images of dataset 'val'.*bee/001\.png.*dataset add val … --replace"):
        check(val)
    with pytest.raises(ConflictError, match=r"bee/001\.png"):
        add_dataset(val, "val", images, role="id")


def test_three_files_are_named_at_most(val: Lake, images: Path) -> None:
    hold(val)
    for number in range(5):
        overwrite(images / "ant" / f"00{number}.png")
    with pytest.raises(ConflictError, match=r"5 images .*\(ant/000\.png, ant/001\.png, ant/002\.png, …\)"):
        check(val)


def test_equal_bytes_of_a_later_time_are_content_and_are_looked_at_once(
    val: Lake, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(val)
    date(images / "bee" / "001.png", -HOUR // 2)
    looked: list[str] = []
    monkeypatch.setattr(
        "extract.datasets.contents.read_digests",
        lambda reader, paths: looked.extend(paths) or read_digests(reader, paths),
    )
    for _ in range(2):
        check(val)
        add_dataset(val, "val", images, role="id")
    assert looked == ["bee/001.png"]


def test_files_that_are_gone_are_another_check_s_matter(val: Lake, images: Path) -> None:
    hold(val)
    (images / "bee" / "001.png").unlink()
    check(val)


def test_replace_takes_other_bytes_whatever_their_time_and_gives_the_dataset_another_digest(
    val: Lake, images: Path
) -> None:
    """And a look at the old bytes, put back, is a conflict then."""
    hold(val)
    before, file = read_dataset(val, "val"), images / "bee" / "001.png"
    overwrite(file)
    date(file, -2 * HOUR)
    check(val)  # a time that was set back hides it from a look, until the bytes are read
    lines: list[str] = []
    after = add_dataset(val, "val", images, role="id", replacing=True, say=lines.append)
    assert after.digest != before.digest
    assert "other bytes" in lines[0]
    assert read_contents(val, "val", before.digest) is None
    check(val)
    assert add_dataset(val, "val", images, role="id").digest == after.digest
    assert add_dataset(val, "val", images, role="id", replacing=True).digest == after.digest
    assert val.read("samples", dataset="val").num_rows == 15
    overwrite(file)
    with pytest.raises(ConflictError, match=r"bee/001\.png"):
        check(val)


def test_replace_of_equal_bytes_changes_nothing(val: Lake, images: Path) -> None:
    hold(val)
    before = read_dataset(val, "val")
    date(images / "bee" / "001.png", 0)
    assert add_dataset(val, "val", images, role="id", replacing=True) == before


def write_tar(file: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(file, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file


def write_parquet(file: Path, members: dict[str, bytes]) -> Path:
    pq.write_table(pa.table({"image": [{"bytes": data} for data in members.values()], "label": [0, 1]}), file)
    return file


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_of_a_container_the_time_is_looked_at_then_the_digests_of_its_samples(
    lake: Lake, tmp_path: Path, kind: str
) -> None:
    write = {"tar": write_tar, "parquet": write_parquet}[kind]
    file = write(tmp_path / f"x.{kind}", {"ant/1.png": b"abc", "bee/2.png": b"def"})
    add_dataset(lake, "far", file, role="ood")
    hold(lake, "far")
    check(lake, "far")
    write(file, {"ant/1.png": b"abc", "bee/2.png": b"deg"})
    date(file, 0)
    with pytest.raises(ConflictError, match="1 images of dataset 'far'"):
        check(lake, "far")
    write(file, {"ant/1.png": b"abc", "bee/2.png": b"def"})
    date(file, 0)
    check(lake, "far")


SPELLINGS = (
    "./ant/000.png",
    "ant//000.png",
    "ant/../ant/000.png",
    "ant/./000.png",
    "../images/ant/000.png",
    "{root}/ant/000.png",
)


@pytest.mark.parametrize("format_", ["csv", "imglist"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_path_that_is_listed_twice_in_two_spellings_is_refused(
    lake: Lake, images: Path, tmp_path: Path, format_: str, spelling: str
) -> None:
    """And one that is listed once is taken in any spelling."""
    given, list_ = spelling.format(root=images), tmp_path / "list"
    head, comma = ("path,label\n", ",") if format_ == "csv" else ("", " ")
    once = f"{head}ant/001.png{comma}0\n{given}{comma}0\n"
    options = FormatOptions(root=images)
    list_.write_text(f"{once}ant/000.png{comma}0\n")
    with pytest.raises(InputError, match="more than once"):
        add_dataset(lake, "far", list_, role="ood", format_=format_, options=options)
    list_.write_text(once)
    assert add_dataset(lake, "far", list_, role="ood", format_=format_, options=options).samples == 2
