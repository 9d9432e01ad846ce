"""Sentences: escaped, with the interval that theory gives, careful where n is small."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.report.sentences import (
    Number,
    Text,
    clustered,
    hedge,
    left_out,
    mean_interval,
    named,
    percent,
    points,
    sentence,
    span,
)


def test_all_parts_are_escaped() -> None:
    evil = "<script>alert(1)</script>"
    said = sentence("On {name}, {text}: {value}", name=evil, text=Text(evil), value=percent(0.25, f'"{evil}'))
    assert "<script" not in said
    assert said.count("&lt;script&gt;") == 3


def test_no_part_has_controls_or_turns_of_direction() -> None:
    evil = "a\x1b[2J\u202e"
    assert str(sentence("{a} {b}{c}", a=evil, b=Text(evil), c=Number(1, "1", evil))).isprintable()
    assert str(named(evil * 9)).isprintable()


def test_numbers_keep_their_full_value_beside_the_text() -> None:
    assert (
        sentence("{x}", x=percent(0.123456789, "q.c")) == '<data value="0.123457" data-source="q.c">12.3\u00a0%</data>'
    )
    assert points(-0.0512).text == "−5.1"
    assert points(0.0512).text == "+5.1"


def test_no_line_ends_between_a_number_and_its_sign() -> None:
    assert sentence("in 95 % (n = {n} of them)", n=8) == "in 95\u00a0% (n\u00a0=\u00a08 of them)"


def test_the_interval_of_a_mean_is_students() -> None:
    values = [0.1, 0.4, 0.35, 0.2]
    expected = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert mean_interval(values) == pytest.approx(expected)
    assert mean_interval([0.1]) == (None, None)
    of_ten = stats.t.interval(0.995, 3, loc=np.mean(values), scale=stats.sem(values))
    assert mean_interval(values, comparisons=10) == pytest.approx(of_ten)


def test_a_long_name_is_shortened_with_the_whole_on_hover() -> None:
    assert named("<b>") == "<b>&lt;b&gt;</b>"
    long = "x" * 59 + '"yz'
    assert named(long) == f'<b title="{"x" * 59}&#34;yz">{"x" * 21}…{"x" * 11}&#34;yz</b>'


def test_what_is_left_out_is_named() -> None:
    assert left_out("Sentences", ["a", "b"], 2) == []
    assert left_out("Sentences", ["a", "b", "c"], 2) == ["Sentences: of a, b, and not of c."]


def test_what_counts_is_said_where_it_is_not_the_models() -> None:
    assert clustered(8, 8) == " models"
    assert clustered(8, 16) == " values of 16 models, those of a checkpoint as one"


def test_spans_and_hedges() -> None:
    assert span(-0.05, 0.1) == "95 % interval −5.0 to 10.0 points"
    assert span(None, None) == span(float("nan"), 0.1) == "no interval"
    assert hedge(5) == ""
    assert "3 models" in hedge(3)
    assert "one pair" in hedge(1, "pairs")
