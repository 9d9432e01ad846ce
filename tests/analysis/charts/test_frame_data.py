"""Frames in the page: what goes in comes out."""

from __future__ import annotations

import json
from datetime import date

import polars as pl

from analysis.charts.frame_data import encoded, thinned


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
    found = decoded(json.loads(json.dumps(encoded(frame))))
    assert found == {
        "name": ["b", None, "a", "b"],
        "n": [1, 2, None, 4],
        "x": [0.123457, None, -1e-9, 3.0],
        "ok": [True, False, None, True],
    }


def test_numbers_that_json_does_not_know_are_missing() -> None:
    assert decoded(encoded(pl.DataFrame({"x": [float("nan"), float("inf")]}))) == {"x": [None, None]}


def test_thinning_keeps_the_detectors_with_the_lowest_fpr_and_says_so() -> None:
    frame = pl.DataFrame({"detector": ["a"] * 4 + ["b"] * 4 + ["c"] * 4, "fpr95": [0.5] * 4 + [0.1] * 4 + [0.3] * 4})
    assert thinned(frame, 12) == (frame, "") or thinned(frame, 12)[1] == ""
    kept, said = thinned(frame, 9)
    assert set(kept["detector"]) == {"b", "c"}
    assert "2 of 3 detectors" in said
    kept, said = thinned(frame, 3)
    assert kept["detector"].to_list() == ["b"] * 3
    assert said


def test_lists_and_dates_are_text() -> None:
    frame = pl.DataFrame({"of": [["b", "a"], None, []], "on": [date(2026, 1, 2), None, date(2025, 1, 2)]})
    assert decoded(encoded(frame)) == {"of": ["b, a", None, ""], "on": ["2026-01-02", None, "2025-01-02"]}
