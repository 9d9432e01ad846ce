"""Durations and sizes as people write and read them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from featurestore.errors import InputError
from featurestore.quantities import age_text, bytes_text, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("30m", 1800), ("24h", 86_400), ("7d", 604_800), ("2w", 1_209_600)]
)
def test_durations_are_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize(
    "text", ["", "24", "h", "-1h", "1.5h", "24 h", "1y", "1h30m", "9" * 30 + "d", "9" * 5000 + "d", "٣d"]
)
def test_other_durations_are_refused(text: str) -> None:
    """With a sentence that shows how to write one."""
    with pytest.raises(InputError, match="24h"):
        parse_duration(text)


def test_sizes_and_ages_are_short() -> None:
    assert [bytes_text(n) for n in (0, 999, 1000, 12_345, 999_600, 1.3e12)] == [
        "0 B",
        "999 B",
        "1.00 kB",
        "12.3 kB",
        "1.00 MB",
        "1.30 TB",
    ]
    assert [age_text(timedelta(seconds=s)) for s in (-5, 0, 61, 7200, 200_000)] == ["0 s", "0 s", "1 min", "2 h", "2 d"]
