from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.errors import InputError, MissingError
from featurestore.layout.paths import partition_key, partition_path
from featurestore.layout.tables import TABLES
from featurestore.names import check_key, check_slug, nearest, pick, suggest_slug


@given(st.text(alphabet="abz019._-", min_size=1).filter(lambda name: name.strip("._-")))
def test_slugs_pass_unchanged(name: str) -> None:
    assert check_slug("model", name) == name


@given(st.text())
def test_a_refused_name_is_an_error_and_a_suggestion_is_always_a_slug(name: str) -> None:
    """Whatever is typed, either it passes, or the error offers a name that passes, or none."""
    suggestion = suggest_slug(name)
    assert not suggestion or check_slug("model", suggestion) == suggestion
    if suggestion != name:
        with pytest.raises(InputError, match=re.escape(f"use {suggestion!r}" if suggestion else "and '-'.")):
            check_slug("model", name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", "A", "a b", "a=b", "a\n", "../x", "ä", "--", "a'b", "a%2fb", "a*"]
)
def test_what_could_leave_a_path_is_refused(name: str) -> None:
    """No name has a separator, a pattern, a quote, an upper-case letter, or only dots."""
    with pytest.raises(InputError, match="cannot be the name of a dataset"):
        check_slug("dataset", name)


def test_the_nearest_name_is_suggested() -> None:
    with pytest.raises(MissingError, match="There is no detector 'mahalanobi': did you mean 'mahalanobis'"):
        pick("detector", "mahalanobi", ["msp", "mahalanobis"])
    assert nearest("zzz", ["b", "a"]) == "there are a, b."
    assert nearest("zzz", []) == "there are none yet."
    assert nearest("zzz", [f"n{i:03}" for i in range(100)]).endswith("n065 and 34 more.")
    assert nearest("zzz", ["a" * 500, "b"]) == f"there are {'a' * 500} and 1 more."
    assert nearest("b16", ["vit-b16-in21k-lr-0.1", "vit-l16-in21k-lr-0.1", "vit-b16-in1k-lr-0.01"]) == (
        "there are vit-b16-in1k-lr-0.01, vit-b16-in21k-lr-0.1."
    )
    assert pick("detector", "msp", ["msp"]) == "msp"


@pytest.mark.parametrize("name", ["vit", "vit@blocks.6", "vit-b@pre_projection"])
def test_a_model_in_a_key_may_be_a_view(name: str) -> None:
    assert check_key("model", name) == name
    assert partition_key(TABLES["models"], partition_path(TABLES["models"], {"model": name})) == {"model": name}


@pytest.mark.parametrize(
    ("column", "name"),
    [("model", "vit@"), ("model", "@blocks"), ("model", "a@b@c"), ("model", "a@B"), ("dataset", "a@b")],
)
def test_nothing_else_has_the_mark(column: str, name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of"):
        check_key(column, name)
