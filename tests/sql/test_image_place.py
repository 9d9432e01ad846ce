"""Where `image_place` says that images are, they are, in every format."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from extract.datasets import add_dataset, read_dataset, read_listing
from extract.datasets.formats import NO_OPTIONS, FormatOptions
from extract.datasets.registry import formats
from tests.tiny import write_images

if TYPE_CHECKING:
    import duckdb

    from featurestore import Lake


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "all images" / "é", {"ant": 2, "bee": 2})


def pack(file: Path, images: list[Path], root: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as tar:
        for image in images:
            tar.add(image, image.relative_to(root))
    return file


def rows(file: Path, images: list[Path]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    cells = [{"bytes": image.read_bytes(), "path": None} for image in images]
    pl.DataFrame({"image": cells, "label": [0] * len(images)}).write_parquet(file)
    return file


def bytes_at(file: str, member: str | None) -> bytes:
    """What a user finds there with other tools."""
    if member is None:
        return Path(file).read_bytes()
    if file.endswith(".tar"):
        with tarfile.open(file) as tar:
            found = tar.extractfile(member)
            assert found
            return found.read()
    return bytes(pl.read_parquet(file)["image"][int(member)]["bytes"])


def make(kind: str, images: Path, folder: Path) -> tuple[str, FormatOptions]:  # noqa: PLR0911 # one for each kind
    """A dataset of a kind; its location and options."""
    files = sorted(images.rglob("*.png"))
    listed = "".join(f"{file.relative_to(images)},c\n" for file in files)
    match kind:
        case "folder":
            return str(images), NO_OPTIONS
        case "csv":
            (images / "list.csv").write_text(f"path,class\n{listed}")
            return str(images / "list.csv"), NO_OPTIONS
        case "csv and root":
            (folder / "a+b.csv").write_text(f"path,class\n{listed}")
            return str(folder / "a+b.csv"), FormatOptions(root=images)
        case "imglist":
            (folder / "list.txt").write_text(listed.replace(",c", " -1"))
            return str(folder / "list.txt"), FormatOptions(root=images)
        case "tar":
            return str(pack(folder / "x.tar", files, images)), NO_OPTIONS
        case "parquet":
            return str(rows(folder / "x.parquet", files)), NO_OPTIONS
    suffix = kind.partition(" ")[0]
    for name, part in (("one/s-0", files[:2]), ("two/s-1", files[2:])):
        file = folder / f"{name}.{suffix}"
        pack(file, part, images) if suffix == "tar" else rows(file, part)
    where = {
        "folder": "", "glob": f"/*/s-*.{suffix}", "range": f"/{{one/s-0,two/s-1}}.{suffix}",
        "both": f"/one/s-0.{suffix}::{folder}/two/s-1.{suffix}",
    }[kind.partition(" ")[2]]  # fmt: skip
    return f"{folder}{where}", NO_OPTIONS


KINDS = [
    *("folder", "csv", "csv and root", "imglist", "tar", "tar folder", "tar glob", "tar range", "tar both"),
    *("parquet", "parquet folder", "parquet glob", "parquet range", "parquet both"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_where_it_is_said_to_be(lake: Lake, images: Path, tmp_path: Path, kind: str) -> None:
    """Also behind spaces, letters beyond ASCII, and a plus; the bytes are those that the extraction reads."""
    (tmp_path / "made").mkdir()
    location, options = make(kind, images, tmp_path / "made")
    format_ = kind.partition(" ")[0]
    add_dataset(lake, "d", location, role="ood", format_=format_, options=options)
    reader, paths = read_dataset(lake, "d").reader, read_listing(lake, "d").paths
    places = lake.sql(
        "select unnest(image_place(format, location, path)) from samples join datasets using (dataset) order by sample"
    ).fetchall()
    assert len(places) == len(paths) == 4
    for (file, member), path in zip(places, paths, strict=True):
        with reader.open(path) as opened:
            assert bytes_at(file, member) == opened.read()


SAID = {
    ("folder?split=train", "s3://b/p", "train/c/1.png"): ("s3://b/p/train/c/1.png", None),
    ("csv", "s3://b/p/list.csv", "c/1.png"): ("s3://b/p/c/1.png", None),
    ("csv?root=s3://b/q", "s3://b/p/list.csv", "c/1.png"): ("s3://b/q/c/1.png", None),
    ("imglist", "/lists/a.txt", "/images/1.png"): ("/images/1.png", None),
    ("tar", "s3://b/p/x.tar", "x.tar/c/1.png@512+77"): ("s3://b/p/x.tar", "c/1.png"),
    ("tar", "s3://b/p/x-{00..12}.tar", "x-03.tar/c/1.png@512+77"): ("s3://b/p/x-03.tar", "c/1.png"),
    ("tar?split=a", "s3://b/p", "a/x.tar/c/1.png@512+77"): ("s3://b/p/a/x.tar", "c/1.png"),
    ("ninco?part=popular", "/n", "a/1.png"): ("/n/a/1.png", None),
    ("imagenet-val?labels=/l", "/v", "1.JPEG"): ("/v/1.JPEG", None),
    ("hf?stamp=1", "hf:user/name@test", "5"): ("hf:user/name@test", "5"),
}


@pytest.mark.parametrize("said", SAID)
def test_places_elsewhere_are_named_alike(connection: duckdb.DuckDBPyConnection, said: tuple[str, str, str]) -> None:
    """In buckets and on the hub."""
    assert connection.execute("select unnest(image_place($1, $2, $3))", list(said)).fetchall() == [SAID[said]]


def test_every_format_is_tried() -> None:
    """A new one needs a place of its own, or to lie as files do."""
    tried = {kind.partition(" ")[0] for kind in KINDS} | {format_.partition("?")[0] for format_, _, _ in SAID}
    assert tried == set(formats())
