"""Seeded subsets: the same choice for the same seed, of each class alone, and watched like any dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extract.datasets import FormatOptions, add_dataset, check_unchanged
from extract.datasets.dataset import read_listing
from extract.datasets.listing import Listing, choose
from featurestore import ConflictError, InputError, Lake

if TYPE_CHECKING:
    from pathlib import Path


def listing(sizes: dict[str, int]) -> Listing:
    rows = [(f"{name}/{n:03d}.png", n, label, name) for label, name in enumerate(sizes) for n in range(sizes[name])]
    return Listing(*map(list, zip(*rows, strict=True)))  # type: ignore[arg-type]


def chosen(sizes: dict[str, int], per_class: int, seed: int | None = None) -> list[str]:
    return list(choose(listing(sizes), FormatOptions(per_class=per_class, seed=seed))[0].paths)


def test_each_class_gets_so_many_different_samples_in_the_dataset_s_order() -> None:
    found = chosen({"a": 50, "b": 50}, 7)
    assert [path[0] for path in found] == ["a"] * 7 + ["b"] * 7
    assert found == sorted(set(found))


def test_the_choice_follows_from_the_seed_and_the_class_alone() -> None:
    """Another class more changes nothing, nor does the order of listing; the golden names hold on every machine."""
    assert chosen({"a": 50}, 3) == chosen({"a": 50}, 3, 0) == chosen({"a": 50, "b": 9}, 3)[:3]
    assert chosen({"a": 50}, 3) != chosen({"a": 50}, 3, 1)
    backwards = listing({"a": 50}).take(range(49, -1, -1))
    assert sorted(choose(backwards, FormatOptions(per_class=3))[0].paths) == chosen({"a": 50}, 3)


def test_small_classes_are_kept_whole_and_said(lake: Lake, images: Path) -> None:
    said: list[str] = []
    options = FormatOptions(per_class=5)
    row = add_dataset(lake, "few", images, role="id", options=options, say=said.append)
    assert (row.samples, row.classes, row.format) == (14, 3, "folder?per-class=5")
    assert said == ["1 classes have fewer than 5 images and are kept whole (first: 'cat' with 4)"]


def test_a_subset_is_a_dataset_of_its_own_and_only_its_files_are_watched(lake: Lake, images: Path) -> None:
    whole = add_dataset(lake, "whole", images, role="id")
    few = add_dataset(lake, "few", images, role="id", benchmark="cheap", options=FormatOptions(per_class=2, seed=3))
    assert few.digest != whole.digest
    subset = read_listing(lake, "few")
    assert subset.label_of_class == read_listing(lake, "whole").label_of_class
    check_unchanged(few, subset)
    other = next(path for path in read_listing(lake, "whole").paths if path not in subset.paths)
    (images / other).unlink()
    check_unchanged(few, subset)
    (images / subset.paths[0]).write_bytes(b"")
    (images / subset.paths[1]).unlink()
    with pytest.raises(ConflictError, match=r"1 removed .*1 resized"):
        check_unchanged(few, subset)


@pytest.mark.parametrize(
    "options", [FormatOptions(seed=1), FormatOptions(per_class=0), FormatOptions(per_class=1, seed=-1)]
)
def test_a_choice_that_makes_no_sense_is_refused(options: FormatOptions) -> None:
    with pytest.raises(InputError, match="--per-class"):
        choose(listing({"a": 2}), options)
