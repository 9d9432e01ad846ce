from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.layout.fingerprint import differences, fingerprint

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
ingredients = st.dictionaries(st.sampled_from(["weights", "dtype", "digest"]), values)


@given(ingredients, st.randoms())
def test_the_order_of_ingredients_does_not_matter(made_of: dict[str, Any], random: Any) -> None:
    shuffled = list(made_of.items())
    random.shuffle(shuffled)
    again = fingerprint("fits", {"b": "2", "a": "1"}, dict(shuffled))
    assert again == fingerprint("fits", {"a": "1", "b": "2"}, made_of)


@given(ingredients, ingredients)
def test_fingerprints_differ_exactly_where_an_ingredient_does(old: dict[str, Any], new: dict[str, Any]) -> None:
    """A conflict can always name the ingredient that differs, and equal ingredients never conflict."""
    same = fingerprint("fits", {}, old) == fingerprint("fits", {}, new)
    assert same == (differences(old, new) == [])


def test_table_key_and_ingredients_all_count() -> None:
    made = {
        fingerprint("fits", {"model": "a"}, {"x": 1}),
        fingerprint("scores", {"model": "a"}, {"x": 1}),
        fingerprint("fits", {"model": "b"}, {"x": 1}),
        fingerprint("fits", {"model": "a"}, {"x": 2}),
    }
    assert len(made) == 4


def test_the_fingerprint_is_frozen() -> None:
    """Another version of featurestore finds what this one wrote."""
    text = '["models",{"model":"vit"},{"n":[1,2.5,null],"weights":"ü"}]'
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert fingerprint("models", {"model": "vit"}, {"weights": "ü", "n": [1, 2.5, None]}) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"dtype": "float16"}, {"dtype": "float32"}, ["dtype (in the lake: float16, now: float32)"]),
        ({"a": None}, {}, ["a (in the lake: null, now: not there)"]),
        ({"a": 1}, {"a": True}, ["a (in the lake: 1, now: true)"]),
        ({"w": "0" * 64}, {"w": "1" * 64}, ["w (in the lake: 000000000000…, now: 111111111111…)"]),
    ],
)
def test_a_difference_says_what_was_and_what_is(old: dict[str, Any], new: dict[str, Any], expected: list[str]) -> None:
    """Name, old and new value; digests are shortened."""
    assert differences(old, new) == expected
