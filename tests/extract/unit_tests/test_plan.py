"""The source images of a kind are those that NINCO drew, and its pixels depend on nothing else."""

from __future__ import annotations

import pytest

from extract.unit_tests import KINDS, sample_indices
from extract.unit_tests.plan import pixel_generator
from featurestore.errors import InputError

# The first and the last source images in the list of released files, of all 17 kinds.
RELEASED = {
    "uni": ([112, 208, 237, 371], 49938),
    "Gaussian": ([217, 262, 348, 418], 49915),
    "Rademacher": ([101, 439, 591, 757], 49938),
    "pixel_perm": ([76, 118, 140, 177], 49630),
    "low_freq_pixel_perm": ([86, 93, 198, 434], 49977),
    "low_freq": ([75, 90, 92, 215], 49981),
    "low_freq_channelfullscale": ([54, 75, 84, 212], 49949),
    "low_freq_colorrange": ([228, 346, 552, 658], 49777),
    "blobs": ([55, 131, 243, 376], 49849),
    "black": ([48, 55, 105, 469], 49837),
    "white": ([20, 164, 241, 262], 49911),
    "grey": ([4, 163, 287, 352], 49899),
    "monochrome": ([204, 399, 484, 1008], 49814),
    "tricolour": ([39, 226, 361, 525], 49960),
    "tricolour_primary": ([163, 220, 449, 513], 49907),
    "horizontal_stripes": ([389, 431, 468, 583], 49889),
    "vertical_stripes": ([655, 809, 1028, 1055], 49964),
}


def test_the_kinds_are_those_of_the_benchmark_in_its_order() -> None:
    assert list(KINDS) == list(RELEASED)
    assert all(kind.definition for kind in KINDS.values())


@pytest.mark.parametrize("kind", KINDS)
def test_the_released_source_images_are_drawn(kind: str) -> None:
    indices = sample_indices(kind, 50_000, 400)
    first, last = RELEASED[kind]
    assert indices[:4] == first
    assert indices[-1] == last
    assert len(set(indices)) == 400
    assert indices == sorted(indices)


def test_all_images_can_be_drawn() -> None:
    assert sample_indices("uni", 7, 7) == list(range(7))


@pytest.mark.parametrize(("number", "per_kind"), [(10, 11), (10, 0), (10, -1), (0, 1)])
def test_an_impossible_draw_is_refused(number: int, per_kind: int) -> None:
    with pytest.raises(InputError, match=str(per_kind)):
        sample_indices("uni", number, per_kind)


def test_pixels_differ_by_seed_kind_and_index() -> None:
    keys = [(seed, kind, index) for seed in (0, 1) for kind in ("uni", "black") for index in (0, 1)]
    values = {pixel_generator(*key).random() for key in keys}
    assert len(values) == len(keys)
    assert pixel_generator(0, "uni", 3).random() == pixel_generator(0, "uni", 3).random()
