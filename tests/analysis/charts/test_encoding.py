"""Frames in the page: what goes in comes out, and nothing of it can end the script element that holds it."""

from __future__ import annotations

import json
from datetime import date

import polars as pl
import pytest

from analysis.charts.encoding import as_json, encoded, thinned
from analysis.report.tables import table


def decoded(columns: list[dict[str, object]]) -> dict[str, list[object]]:
    """What page.js does, in Python."""
    return {
        str(c["name"]): c["values"] if "values" in c else [None if at < 0 else c["words"][at] for at in c["at"]]  # type: ignore[attr-defined, index, misc]
        for c in columns
    }


def test_a_frame_comes_back() -> None:
    frame = pl.DataFrame(
        {
            "name": ["b", None, "a", "b"],
            "n": [1, 2, None, 4],
            "x": [0.1234567, None, -1e-9, 3.0],
            "ok": [True, False, None, True],
        }
    )
    found = decoded(json.loads(as_json(encoded(frame))))
    assert found == {
        "name": ["b", None, "a", "b"],
        "n": [1, 2, None, 4],
        "x": [0.123457, None, -1e-9, 3.0],
        "ok": [True, False, None, True],
    }


def test_numbers_that_json_does_not_know_are_missing() -> None:
    assert decoded(encoded(pl.DataFrame({"x": [float("nan"), float("inf")]}))) == {"x": [None, None]}


@pytest.mark.parametrize("text", ["</script><b>", "<!--", "a & b", "\u2028"])
def test_no_text_ends_the_element(text: str) -> None:
    held = as_json(encoded(pl.DataFrame({"x": [text]})))
    assert not set(held) & {"<", ">", "&", "\u2028"}
    assert decoded(json.loads(held)) == {"x": [text]}


def test_thinning_keeps_the_detectors_with_the_lowest_fpr_and_says_so() -> None:
    frame = pl.DataFrame({"detector": ["a"] * 4 + ["b"] * 4 + ["c"] * 4, "fpr95": [0.5] * 4 + [0.1] * 4 + [0.3] * 4})
    assert thinned(frame, 12) == (frame, "") or thinned(frame, 12)[1] == ""
    kept, said = thinned(frame, 9)
    assert set(kept["detector"]) == {"b", "c"}
    assert "2 of 3 detectors" in said
    kept, said = thinned(frame, 3)
    assert kept["detector"].to_list() == ["b"] * 3
    assert said


def test_tables_escape_and_show_what_is_missing() -> None:
    text = table(pl.DataFrame({"<i>": ["<b>", None], "x": [-0.12345, None], "rate": [0.03, 0.1]}), shares=["x"])
    assert "<b>" not in text
    assert "<i>" not in text
    assert "&lt;b&gt;" in text
    assert text.count(">–<") == 2
    assert ">−0.123<" in text
    assert ">0.03<" in text


def test_lists_and_dates_are_text() -> None:
    frame = pl.DataFrame({"of": [["b", "a"], None, []], "on": [date(2026, 1, 2), None, date(2025, 1, 2)]})
    assert decoded(encoded(frame)) == {"of": ["b, a", None, ""], "on": ["2026-01-02", None, "2025-01-02"]}
