"""The fields of preprocessing, under timm's names: what each may be, from what users type or files say."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from featurestore.errors import InputError
from featurestore.names import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Preprocess: TypeAlias = "Mapping[str, Any]"
"""Some fields with their values: `input_size` (3, height, width), `crop_pct`, `crop_mode`, `interpolation`, `mean` and `std` of RGB."""

CROP_MODES = ("center", "squash", "border")
INTERPOLATIONS = ("bicubic", "bilinear", "nearest", "lanczos", "box", "hamming")
_CHANNELS = 3
_LARGEST = 8192
_SEPARATORS = re.compile(r"[,;x×\s]+")


def checked(field: str, value: Any, place: str) -> Any:
    """The value of a field, from a text or from JSON.

    Args:
        field: Its name.
        value: What was said.
        place: Where, for messages, such as `--mean`.

    Raises:
        InputError: The field cannot have that value.
    """
    return STATED_FIELDS[field](value, place)


def check_field(name: str, place: str) -> None:
    """Raise if no field has that name.

    Raises:
        InputError: None has; the message names the nearest.
    """
    if name not in STATED_FIELDS:
        raise InputError(f"{place}: there is no field {name!r} of preprocessing: {nearest(name, STATED_FIELDS)}")


def text_of(field: str, value: Any) -> str:
    """A value as people read it."""
    if field == "input_size":
        return "x".join(map(str, value[1:]))
    if isinstance(value, (tuple, list)):
        return f"{value[0]:.4g}" if len(set(value)) == 1 else " ".join(f"{number:.4g}" for number in value)
    return str(value)


def _size(value: Any, place: str) -> tuple[int, int, int]:
    """From 224, `224x288` (height first), or (3, 224, 288)."""
    parts = _parts(value)
    try:
        numbers = [int(part) for part in parts if float(part) == int(float(part))]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    sides = numbers[1:] if len(numbers) == _CHANNELS and numbers[0] == _CHANNELS else numbers
    if len(numbers) != len(parts) or len(sides) not in {1, 2} or not all(0 < side <= _LARGEST for side in sides):
        raise InputError(f"{place} is the size in pixels, such as 224, or height and width as 224x288, not {value!r}.")
    return _CHANNELS, sides[0], sides[-1]


def _crop(value: Any, place: str) -> float:
    number = _number(value)
    if number is None or not 0 < number <= 1:
        raise InputError(f"{place} is the share of the resized image that stays, above 0 and up to 1, not {value!r}.")
    return number


def _channels(value: Any, place: str, *, zero: bool) -> tuple[float, ...]:
    numbers = [_number(part) for part in _parts(value)]
    known = [number for number in numbers if number is not None and (0 < number <= 1 or (zero and number == 0))]
    if len(known) != len(numbers) or len(known) not in {1, _CHANNELS}:
        raise InputError(
            f"{place} is of pixels between 0 and 1, one number or three as 0.485,0.456,0.406, not {value!r}"
            + (": divide by 255." if any(number is not None and 1 < number <= 255 for number in numbers) else ".")
        )
    return tuple(known * _CHANNELS if len(known) == 1 else known)


def _mean(value: Any, place: str) -> tuple[float, ...]:
    return _channels(value, place, zero=True)


def _std(value: Any, place: str) -> tuple[float, ...]:
    return _channels(value, place, zero=False)


def _one_of(known: tuple[str, ...]) -> Callable[[Any, str], str]:
    def check(value: Any, place: str) -> str:
        if value not in known:
            raise InputError(f"{place} is {', '.join(known[:-1])} or {known[-1]}, not {value!r}.")
        return str(value)

    return check


def _parts(value: Any) -> list[Any]:
    if isinstance(value, str):
        return _SEPARATORS.split(value.strip().strip("[]()").strip())
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and not isinstance(value, bool) else None


FIELDS: Mapping[str, Callable[[Any, str], Any]] = {
    "input_size": _size,
    "crop_pct": _crop,
    "crop_mode": _one_of(CROP_MODES),
    "interpolation": _one_of(INTERPOLATIONS),
    "mean": _mean,
    "std": _std,
}
"""The fields in the order in which they are said, each with what makes a value of what was said."""
DECODE, EXACT, FAST = "decode", "exact", "fast"
STATED_FIELDS: Mapping[str, Callable[[Any, str], Any]] = {**FIELDS, DECODE: _one_of((EXACT, FAST))}
"""These, and how images are decoded: `exact` unless it is stated otherwise, and no part of the preprocessing then."""
