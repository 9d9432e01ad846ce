"""Shards as people write them: ranges in braces, choices, and lists with `::`; none of them may be missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extract.datasets import Origin, add_dataset, list_samples, open_reader, read_listing
from extract.datasets.formats.shards import expanded, files_at
from featurestore import InputError, Lake
from tests.extract.datasets.formats.test_tar import pack

if TYPE_CHECKING:
    from pathlib import Path


def write_shards(folder: Path, count: int) -> None:
    for number in range(count):
        pack(folder / f"shard-{number:06d}.tar", {f"ant/{number}.png": bytes([number])})


@pytest.mark.parametrize(
    ("location", "places"),
    [
        ("a-{08..11}.tar", ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]),
        ("{train,val}-{0..1}.tar", ["train-0.tar", "train-1.tar", "val-0.tar", "val-1.tar"]),
        ("a.tar::b/{x,y}.tar", ["a.tar", "b/x.tar", "b/y.tar"]),
        ("*.tar", ["*.tar"]),
    ],
)
def test_braces_and_colons_name_places_in_order(location: str, places: list[str]) -> None:
    assert expanded(location) == places


def test_a_range_of_shards_is_a_dataset_and_is_read_back(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From any working directory, and beside shards of another folder."""
    write_shards(tmp_path / "train", 12)
    write_shards(tmp_path / "more", 1)
    monkeypatch.chdir(tmp_path)
    row = add_dataset(lake, "train", "train/shard-{000000..000010}.tar::more/*.tar", role="fit")
    monkeypatch.chdir("/")
    paths = read_listing(lake, "train").paths
    assert len(paths) == 12
    assert (paths[1], paths[-1]) == ("train/shard-000001.tar/ant/1.png", "more/shard-000000.tar/ant/0.png")
    for path, content in ((paths[10], b"\n"), (paths[-1], b"\0")):
        with row.reader.open(path) as image:
            assert image.read() == content
    with open_reader(row.origin).open(paths[3]) as image:
        assert image.read() == b"\3"


def test_shards_of_a_range_that_are_missing_are_listed(tmp_path: Path) -> None:
    """A set with a shard less looks like the set."""
    write_shards(tmp_path, 3)
    (tmp_path / "shard-000001.tar").unlink()
    with pytest.raises(
        InputError, match=r"names 7 files, of which 5 are not there: .*000001\.tar, .*000003\.tar, .* and 2 more"
    ):
        list_samples(Origin("tar", f"{tmp_path}/shard-{{000000..000006}}.tar"), "ood")
    for location, message in (
        ("{5..2}.tar", "must count up"),
        ("{0..99999999}.tar", "must count up"),
        ("*.tgz", "no file"),
    ):
        with pytest.raises(InputError, match=message):
            files_at(f"{tmp_path}/{location}", ".tar")


def test_a_file_whose_name_has_braces_is_itself(tmp_path: Path) -> None:
    pack(tmp_path / "a{0..1}::b.tar", {"ant/1.png": b"1"})
    assert files_at(f"{tmp_path}/a{{0..1}}::b.tar", ".tar") == [tmp_path / "a{0..1}::b.tar"]


def test_a_list_of_shards_may_be_longer_than_any_path(tmp_path: Path, lake: Lake) -> None:
    folder = tmp_path / ("long" * 40)
    write_shards(folder, 30)
    location = "::".join(str(folder / f"shard-{number:06d}.tar") for number in range(30))
    assert len(location) > 4_096
    row = add_dataset(lake, "train", location, role="ood")
    with row.reader.open(read_listing(lake, "train").paths[7]) as image:
        assert image.read() == b"\7"
