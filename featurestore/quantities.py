"""Durations and sizes as people write and read them."""

from __future__ import annotations

import re
from datetime import timedelta

from featurestore.errors import InputError

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kKMGT]?)(i?)B?")
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_DURATION = re.compile(r"([0-9]+)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SECONDS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def parse_duration(text: str) -> timedelta:
    """Read a duration: a whole number and s, m, h, d or w.

    Raises:
        InputError: It is written in another way, or is longer than a calendar.

    >>> parse_duration("24h")
    datetime.timedelta(days=1)
    """
    match = _DURATION.fullmatch(text)
    try:
        if match:
            return timedelta(**{_UNITS[match[2]]: int(match[1])})
    except (OverflowError, ValueError):
        pass
    raise InputError(f"{text!r} is no duration: give a whole number and s, m, h, d or w, e.g. 30m, 24h or 7d.")


def parse_bytes(text: str) -> int:
    """Read a number of bytes: a number and B, kB, MB, GB or TB in powers of 1000, or KiB, MiB, GiB or TiB of 1024.

    Raises:
        InputError: It is written in another way.

    >>> parse_bytes("1.5GB")
    1500000000
    """
    match = _SIZE.fullmatch(text)
    if not match or (match[3] and not match[2]):
        raise InputError(f"{text!r} is no size: give a number and kB, MB or GB, e.g. 500MB or 1.5GB.")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** _POWERS[match[2].upper()])


def age_text(age: timedelta) -> str:
    """An age in its largest unit.

    >>> age_text(timedelta(hours=50))
    '2 d'
    """
    seconds = max(int(age.total_seconds()), 0)
    unit, length = next(((unit, length) for unit, length in _SECONDS if seconds >= length), ("s", 1))
    return f"{seconds // length} {unit}"


def bytes_text(size: float) -> str:
    """A number of bytes with three digits, in powers of 1000.

    >>> bytes_text(1_234_567)
    '1.23 MB'
    """
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 999.5:
            return f"{size:#.3g}".rstrip(".") + f" {unit}"
    return f"{size / 1000:,.2f} PB"
