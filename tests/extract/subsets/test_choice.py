from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from extract.datasets import FormatOptions, add_dataset, read_dataset, read_listing
from extract.subsets import Choice, add_part
from featurestore import ConflictError, InputError, Lake, MissingError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline import Commands


def chosen(lake: Lake, name: str) -> list[str]:
    return list(read_listing(lake, name).paths)


@pytest.mark.parametrize(
    ("choice", "count"),
    [
        (Choice(), 15),
        (Choice(["bee", "cat"]), 10),
        (Choice(where="path like 'ant/%' or label = 2"), 9),
        (Choice(where="bytes > 0 and sample < 7 and class_name = 'bee'"), 2),
        (Choice(["bee", "cat"], "sample <> 5", per_class=2, seed=1), 4),
    ],
)
def test_all_that_is_said_holds(val: Lake, choice: Choice, count: int) -> None:
    row = add_part(val, "some", "val", choice, role="id", benchmark="some")
    assert row == read_dataset(val, "some")
    assert row.samples == len(chosen(val, "some")) == count
    whole = chosen(val, "val")
    assert [whole.index(path) for path in chosen(val, "some")] == sorted(map(whole.index, chosen(val, "some")))
    assert (row.origin.options.parent, row.origin.options.chosen) == ("val", choice.text)
    assert add_part(val, "some", "val", choice, role="id") == row


def test_images_per_class_are_those_that_adding_chooses(val: Lake, images: Path) -> None:
    """The same dataset, by either way."""
    row = add_part(val, "some", "val", Choice(per_class=2, seed=7), role="id", benchmark="some")
    other = add_dataset(val, "other", images, role="id", benchmark="more", options=FormatOptions(per_class=2, seed=7))
    assert row.digest == other.digest


@pytest.mark.parametrize(
    ("choice", "arguments", "message"),
    [
        (Choice(["bea"]), {}, "There is no class 'bea': did you mean 'bee'"),
        (Choice(where="sample > 99"), {}, "No image is chosen by where sample > 99"),
        (Choice(where="nothing = 1"), {}, "nothing"),
        (Choice(where="sample in (select 1)"), {}, "a query inside it"),
        (Choice(where="cast(path as int) = 1"), {}, "--where 'cast.* cannot be evaluated"),
        (Choice(), {"parent": "vel"}, "There is no dataset 'vel': did you mean 'val'"),
        (Choice(), {"name": "val"}, "A part of val needs a name of its own"),
        (Choice(), {"role": None}, "Say with --role what part is for"),
        (Choice(), {"parent": "far"}, "The images of far have no labels in the lake, which the role id needs"),
        (Choice(["ant"]), {"benchmark": "main"}, "already has the id dataset 'val'"),
        (Choice(["ant"]), {"benchmark": "main", "role": "ood"}, r"5 of these images are in dataset 'val' \(role id\)"),
    ],
)
def test_what_cannot_be_is_refused(val: Lake, choice: Choice, arguments: dict[str, Any], message: str) -> None:
    add_dataset(
        val, "far", val.read("datasets", dataset="val").column("location")[0].as_py(), role="ood", benchmark="far"
    )
    given = {"name": "part", "parent": "val", "role": "id", "benchmark": "part", **arguments}
    before = val.partitions("samples")
    with pytest.raises((InputError, MissingError), match=message):
        add_part(val, given.pop("name"), given.pop("parent"), choice, **given)
    assert val.partitions("samples") == before


def test_another_choice_under_the_same_name_is_refused_until_replaced(val: Lake) -> None:
    add_part(val, "part", "val", Choice(["ant"]), role="id", benchmark="part")
    with pytest.raises(ConflictError, match="another dataset 'part'; what changed: 4 added"):
        add_part(val, "part", "val", Choice(["ant", "cat"]))
    assert add_part(val, "part", "val", Choice(["cat"]), replacing=True).samples == 4


def test_the_command_says_what_it_takes(fresh: Commands, images: Path) -> None:
    fresh.ok("dataset", "add", "val", images, "--role", "id")
    said = fresh.ok(
        "dataset",
        "add",
        "ants",
        "--from",
        "val",
        "--classes",
        "ant,bee",
        "--role",
        "ood",
        "--benchmark",
        "b",
        "--group",
        "near",
    )
    assert said.splitlines()[-1] == "ants: 11 samples of 2 classes, role ood, in b"
    (row,) = fresh.lake.scan("datasets", dataset="ants").collect().to_dicts()
    assert (row["format"], row["ood_group"]) == ("folder?parent=val&chosen=classes+ant%2Cbee", "near")
    assert read_listing(fresh.lake, "ants").labels == [None] * 11
    for wrong in (
        ("dataset", "add", "x", "--role", "id"),
        ("dataset", "add", "x", images, "--from", "val", "--role", "id"),
        ("dataset", "add", "x", images, "--where", "label = 1", "--role", "id"),
        ("dataset", "add", "x", "--from", "val", "--format", "csv", "--role", "id"),
        ("dataset", "add", "x", "--from", "val", "--split", "test", "--role", "id"),
    ):
        assert fresh(*wrong).code == 2
