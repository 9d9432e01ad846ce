"""A folder of unit-tests is a NINCO root, is made once, survives interruption, and is never mixed."""

from __future__ import annotations

import csv
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pytest
from PIL import Image

import extract.unit_tests.write as writing_module
from extract.unit_tests import KINDS, UnitTestSummary, render, sample_indices, write_unit_tests
from extract.unit_tests.plan import pixel_generator
from featurestore.errors import InputError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from featurestore.progress import Bar

FOLDER = "NINCO_OOD_unit_tests"
PER_KIND = 3


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Ten source images in two folders: several formats, modes and sizes, and files that do not count."""
    root = tmp_path / "images"
    (root / "b").mkdir(parents=True)
    (root / "a" / "deep").mkdir(parents=True)
    (root / ".hidden").mkdir()
    generator = np.random.default_rng(0)
    for number in range(10):
        pixels = generator.integers(256, size=(12 + number, 20 - number, 3), dtype=np.uint8)
        folder = root / ("a/deep", "b")[number % 2]
        extension = ("png", "JPG", "jpeg")[number % 3]
        Image.fromarray(pixels).convert("L" if number == 4 else "RGB").save(folder / f"{number}.{extension}")
    for name in ("notes.txt", ".hidden.png", ".hidden/1.png"):
        (root / name).write_text("not an image")
    return root


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def write(out: Path, images: Path, **options: Any) -> UnitTestSummary:
    return write_unit_tests(out, images, **{"per_kind": PER_KIND, **options})


def told(advance: Callable[[int], None]) -> Bar:
    """A bar whose total and steps go to a function."""

    @contextmanager
    def bar(total: int) -> Iterator[Callable[[int], None]]:
        advance(total)
        yield advance

    return bar


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def rows(out: Path) -> list[list[str]]:
    with (out / f"{FOLDER}.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_the_layout_is_that_of_the_benchmark(out: Path, images: Path) -> None:
    """Names, order, formats by parity, a list of exactly the files that are there, and a record of how they were made."""
    summary = write(out, images, seed=7)
    expected = [
        [f"{FOLDER}/{kind}/{kind}_{position:03d}_{kind}_{index:05d}.{'jpg' if index % 2 else 'png'}", kind]
        for kind in KINDS
        for position, index in enumerate(sample_indices(kind, 10, PER_KIND))
    ]
    assert rows(out) == [["image_location", "class"], *expected]
    assert set(contents(out)) == {name for name, _ in expected} | {f"{FOLDER}.csv", "unit_tests.json"}
    assert (summary.folder, summary.written, summary.reused) == (out, 17 * PER_KIND, 0)
    record = json.loads((out / "unit_tests.json").read_text())
    assert len(record.pop("digest")) == 64
    assert record == {"seed": 7, "per_kind": PER_KIND, "images": 10, "kinds": list(KINDS)}


def test_pixels_are_those_of_the_kind_and_the_source(out: Path, images: Path) -> None:
    write(out, images, seed=3)
    names = sorted(path.relative_to(images).as_posix() for path in images.glob("[ab]/**/*.*"))
    for location, kind in rows(out)[1:]:
        index = int(location[-9:-4])
        with Image.open(images / names[index]) as source, Image.open(out / location) as written:
            expected = render(kind, np.asarray(source.convert("RGB")), pixel_generator(3, kind, index))
            assert written.mode == "RGB"
            assert written.format == ("JPEG" if index % 2 else "PNG")
            assert written.size == source.size
            if index % 2 == 0:
                assert np.array_equal(np.asarray(written), expected)


def test_pixels_depend_on_the_seed_only(tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not on the run, the chosen kinds, their order, the threads or where the source images lie."""
    write(tmp_path / "all", images)
    whole = contents(tmp_path / "all" / FOLDER)
    monkeypatch.setattr(writing_module, "MOST_THREADS", 1)
    moved = images.rename(tmp_path / "moved")
    write(tmp_path / "some", moved, kinds=["vertical_stripes", "uni", "uni"])
    some = contents(tmp_path / "some" / FOLDER)
    assert some == {name: data for name, data in whole.items() if name.startswith(("uni/", "vertical_stripes/"))}
    assert len(some) == 2 * PER_KIND
    write(tmp_path / "other", moved, kinds=["uni"], seed=1)
    other = contents(tmp_path / "other" / FOLDER)
    assert all(other[name] != whole[name] for name in other)


def test_a_second_run_writes_nothing(out: Path, images: Path) -> None:
    write(out, images)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    calls: list[int] = []
    summary = write(out, images, bar=told(calls.append))
    assert (summary.written, summary.reused) == (0, 17 * PER_KIND)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == times
    assert calls == []


@pytest.mark.parametrize("lost", [f"{FOLDER}/uni/*", f"{FOLDER}/b*/*_000_*", f"{FOLDER}.csv"])
def test_what_was_deleted_comes_back(out: Path, images: Path, lost: str) -> None:
    write(out, images)
    before = contents(out)
    gone = list(out.glob(lost))
    for path in gone:
        path.unlink()
    summary = write(out, images)
    assert gone
    assert summary.written == sum(path.suffix != ".csv" for path in gone)
    assert summary.written + summary.reused == 17 * PER_KIND
    assert contents(out) == before


def test_kinds_can_be_added(tmp_path: Path, out: Path, images: Path) -> None:
    """The folder then is what a single run would have made."""
    write(out, images, kinds=["black", "uni"])
    summary = write(out, images, kinds=["grey"])
    assert (summary.written, summary.reused) == (PER_KIND, 2 * PER_KIND)
    write(tmp_path / "once", images, kinds=["uni", "black", "grey"])
    assert contents(out) == contents(tmp_path / "once")
    assert write(out, images, kinds=["black"]).reused == 3 * PER_KIND


def test_a_killed_run_continues(tmp_path: Path, out: Path, images: Path) -> None:
    """Neither the list nor the record exists before all images do; nothing that is whole is drawn again."""
    calls: list[int] = []

    def kill(steps: int) -> None:
        calls.append(steps)
        if calls == [17 * PER_KIND, 0, *([1] * 20)]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(out, images, bar=told(kill))
    assert not (out / f"{FOLDER}.csv").exists()
    assert not (out / "unit_tests.json").exists()
    there = len(contents(out / FOLDER))
    assert there >= 20
    with pytest.raises(InputError, match="seed 0, not seed 1"):
        write(out, images, seed=1)
    calls.clear()
    summary = write(out, images, bar=told(calls.append))
    assert (summary.reused, summary.written) == (there, 17 * PER_KIND - there)
    assert calls == [17 * PER_KIND, there, *([1] * summary.written)]
    write(tmp_path / "once", images)
    assert contents(out) == contents(tmp_path / "once")


def test_half_an_image_never_counts(out: Path, images: Path) -> None:
    """A process that dies between writing a file and naming it leaves a hidden file that nothing looks at."""
    write(out, images, kinds=["uni"])
    image = next((out / FOLDER / "uni").iterdir())
    whole = image.read_bytes()
    image.rename(image.with_name(".staged-123")).write_bytes(whole[:10])
    summary = write(out, images, kinds=["uni"])
    assert summary.written == 1
    assert image.read_bytes() == whole


def test_a_refusing_disk_leaves_no_half(out: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path, target: Path) -> NoReturn:
        raise OSError(28, "No space left on device", str(target))

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", refuse)
        with pytest.raises(StorageError, match="No space left on device"):
            write(out, images)
    assert contents(out) == {}
    assert write(out, images).written == 17 * PER_KIND


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed": 1}, "seed 0, not seed 1"),
        ({"per_kind": 2}, "with 3 images per kind, not 2"),
        ({"add": "c.png"}, r"other images \(10 then, 11 now\)"),
        ({"rename": "c.jpg"}, "names or sizes differ"),
        ({"resize": True}, "names or sizes differ"),
    ],
)
def test_other_ingredients_are_never_mixed(out: Path, images: Path, change: dict[str, Any], says: str) -> None:
    write(out, images, kinds=["grey"])
    before = contents(out)
    victim = images / "b" / "1.JPG"
    if "add" in change:
        Image.new("RGB", (4, 4)).save(images / change["add"])
    if "rename" in change:
        victim.rename(images / change["rename"])
    if "resize" in change:
        victim.write_bytes(victim.read_bytes() + b"\0")
    options = {name: value for name, value in change.items() if name in {"seed", "per_kind"}}
    with pytest.raises(InputError, match=f"{says}.*choose another folder, or delete"):
        write(out, images, kinds=["grey"], **options)
    assert contents(out) == before


@pytest.mark.parametrize("name", [f"{FOLDER}.csv", f"{FOLDER}/uni/uni_000_uni_00112.png"])
def test_released_files_are_not_touched(out: Path, images: Path, name: str) -> None:
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("released")
    with pytest.raises(InputError, match="made by something else"):
        write(out, images)
    assert contents(out) == {name: b"released"}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"seed": 0, "kinds": ["uni"]}', '{"kinds": 1}', "\0"])
def test_a_broken_record_is_named(out: Path, images: Path, text: str) -> None:
    out.mkdir()
    (out / "unit_tests.json").write_text(text)
    with pytest.raises(InputError, match=r"unit_tests\.json cannot be read"):
        write(out, images)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"per_kind": 11}, "holds 10 images, fewer than 11 per kind; use --per-kind 10"),
        ({"per_kind": 0}, "--per-kind is 0"),
        ({"per_kind": -3}, "--per-kind is -3"),
        ({"seed": -1}, "seed is -1"),
        ({"kinds": ["uni", "tricolor"]}, "'tricolor'.*'tricolour'.*uni, Gaussian"),
        ({"kinds": []}, "no unit-test kind"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(
    out: Path, images: Path, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        write(out, images, **options)
    assert not out.exists()


@pytest.mark.parametrize(("name", "says"), [("nowhere", "no folder"), ("file", "is a file"), ("empty", "no image")])
def test_bad_source_folders_are_refused(tmp_path: Path, out: Path, name: str, says: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("")
    with pytest.raises(InputError, match=f"{says}|{name}.*{says}"):
        write(out, tmp_path / name)
    assert not out.exists()


@pytest.mark.parametrize("keep", [0, 40, 500])
def test_a_broken_source_image_is_named_before_anything_is_written(out: Path, images: Path, keep: int) -> None:
    """Empty, a header only, or half of it."""
    victim = images / "b" / "3.png"
    victim.write_bytes(victim.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"Cannot decode the source image .*3\.png"):
        write(out, images, per_kind=10)
    assert not out.exists()


def test_a_dangling_link_is_named(out: Path, images: Path) -> None:
    (images / "c.png").symlink_to(images / "gone.png")
    with pytest.raises(InputError, match=r"Cannot read .*c\.png"):
        write(out, images)


def test_linked_folders_are_followed(out: Path, images: Path) -> None:
    (images.parent / "linked").mkdir()
    (images.parent / "linked" / "images").symlink_to(images)
    write(out, images.parent / "linked", kinds=["black"])
    assert json.loads((out / "unit_tests.json").read_text())["images"] == 10


@pytest.mark.parametrize("inside", ["", "b", "new/folder"])
def test_unit_tests_do_not_become_their_own_sources(images: Path, inside: str) -> None:
    before = contents(images)
    with pytest.raises(InputError, match="choose a folder outside"):
        write(images / inside, images)
    assert contents(images) == before


def test_a_file_is_no_folder_to_write_into(out: Path, images: Path) -> None:
    out.write_text("")
    with pytest.raises(InputError, match="is a file"):
        write(out, images)
    with pytest.raises(StorageError, match="Not a directory"):
        write(out / "below", images)
