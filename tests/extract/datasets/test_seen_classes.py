"""Which classes of an OOD dataset a pretraining has seen is said by a user, or by a list that comes with the images, and kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from extract.datasets import add_dataset, read_dataset, with_part
from extract.subsets import Choice, add_part
from featurestore import InputError, Lake, MissingError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline import Commands

QUERY = "select dataset, pretraining, ood_class from seen_classes order by all"


def seen(lake: Lake, name: str) -> Any:
    return json.loads(read_dataset(lake, name).seen_classes or "null")


def test_it_is_said_by_pretraining_and_stays(lake: Lake, images: Path) -> None:
    """All classes, or those that are listed; what is said later of the same data goes before it; the view has a row of each."""
    add_dataset(lake, "insects", images, role="ood", seen_in={"in21k": None, "in12k": ["bee"], "clip": []})
    row = read_dataset(lake, "insects")
    classes = sorted({*seen(lake, "insects")["in21k"]})
    assert seen(lake, "insects") == {"clip": [], "in12k": ["bee"], "in21k": classes}
    assert len(classes) == row.classes
    rows = [("insects", "clip", None), ("insects", "in12k", "bee"), *(("insects", "in21k", name) for name in classes)]
    assert lake.sql(QUERY).fetchall() == rows
    add_dataset(lake, "insects", images, role="ood", benchmark="other")
    assert seen(lake, "insects") == {"clip": [], "in12k": ["bee"], "in21k": classes}
    add_dataset(lake, "insects", images, role="ood", seen_in={"in21k": ["ant"]})
    assert seen(lake, "insects") == {"clip": [], "in12k": ["bee"], "in21k": ["ant"]}
    assert read_dataset(lake, "insects").digest == row.digest
    _, after = with_part(lake, "insects", seen_in={"": None})
    assert after.seen_classes is None


def test_what_was_not_said_is_no_ingredient(lake: Lake, images: Path) -> None:
    """The row of a dataset of which nothing is said is that of an older lake."""
    add_dataset(lake, "insects", images, role="ood")
    (manifest,) = lake.partitions("datasets", dataset="insects")
    assert "seen_classes" not in manifest.parts[0].ingredients
    assert read_dataset(lake, "insects").seen_classes is None


def test_a_part_has_what_is_said_of_its_classes(lake: Lake, images: Path) -> None:
    add_dataset(lake, "insects", images, role="ood", seen_in={"in21k": ["ant", "bee"]})
    add_part(lake, "bees", "insects", Choice(["bee"]), role="ood", benchmark="b")
    assert seen(lake, "bees") == {"in21k": ["bee"]}
    add_part(lake, "ants", "insects", Choice(["ant"]), role="ood", benchmark="c", seen_in={"in21k": []})
    assert seen(lake, "ants") == {"in21k": []}


@pytest.mark.parametrize(
    ("role", "said", "error", "message"),
    [
        ("id", {"in21k": None}, InputError, "--seen-in is for OOD datasets: .* role id"),
        ("ood", {"in 21k": None}, InputError, "--seen-in 'in 21k' is no name of pretraining data"),
        ("ood", {"in21k": ["beee"]}, MissingError, "There is no class in the dataset 'beee': did you mean 'bee'"),
    ],
)
def test_what_cannot_be_is_refused(
    lake: Lake, images: Path, role: str, said: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        add_dataset(lake, "insects", images, role=role, seen_in=said)


def test_the_commands_take_data_and_lists(copied: Commands, tmp_path: Path) -> None:
    """Of a lake with scores, nothing becomes stale by it, and the question on pretraining says what it knows."""
    held = copied.lake.part("samples", dataset="far")[1].fingerprint
    names = sorted({row["class_name"] for row in copied.lake.scan("samples", dataset="far").collect().to_dicts()})
    (tmp_path / "list.txt").write_text(f"{names[0]}\n\n")
    copied.ok("dataset", "set", "far", "--seen-in", "in21k", "--seen-in", f"in12k={tmp_path / 'list.txt'}")
    assert seen(copied.lake, "far") == {"in12k": names[:1], "in21k": names}
    assert copied.lake.part("samples", dataset="far")[1].fingerprint == held
    assert ", 0 stale," in copied.ok("status")
    said = copied("ask", "pretraining_effect").err
    assert f"in12k has 1 of the {len(names)} classes of far: " in said
    assert f"in21k has {len(names)} of the {len(names)} classes of far: " in said
    copied.ok("dataset", "set", "far", "--seen-in", "")
    assert seen(copied.lake, "far") is None
    assert "nothing is said of which classes a pretraining has seen" in copied("ask", "pretraining_effect").err
    outcome = copied("dataset", "set", "far", "--seen-in", f"in21k={tmp_path / 'none.txt'}")
    assert (outcome.code, "none.txt cannot be read: No such file" in outcome.err) == (1, True)
