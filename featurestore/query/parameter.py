"""What a question takes: a parameter with its type, default and allowed values, as one line of a header writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from featurestore.errors import InputError
from featurestore.names import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Value: TypeAlias = str | int | float | bool | None

_WRITTEN = re.compile(r"(?P<default>.*?)\s*(?:\{(?P<choices>[^{}]*)\}|\[(?P<range>[^\[\],]*,[^\[\],]*)\])?")


def _whole(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(value)
    return int(value)


TYPES: Mapping[str, Callable[[Any], Value]] = {"text": str, "integer": _whole, "number": float}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a question.

    Attributes:
        name: As in `--param name=value` and `$name`.
        type: `text`, `integer` or `number`.
        default: Its value where the caller gives none.
        description: What it does.
        choices: The values that it may have; any if empty.
        low: The smallest number that it may be; None for no limit.
        high: The largest number that it may be; None for no limit.
    """

    name: str
    type: str
    default: Value
    description: str
    choices: tuple[Value, ...] = ()
    low: Value = None
    high: Value = None

    @property
    def allowed(self) -> str:
        """The allowed values as the end of a sentence; empty where any value of the type is."""
        if self.choices:
            *others, last = map(str, self.choices)
            return f"{', '.join(others)} or {last}" if others else last
        if self.low is not None and self.high is not None:
            return f"from {self.low} to {self.high}"
        if self.low is None and self.high is None:
            return ""
        return f"at least {self.low}" if self.high is None else f"at most {self.high}"

    def parse(self, value: Value) -> Value:
        """Convert what a caller typed.

        Raises:
            InputError: It is not of the parameter's type, or not an allowed value.
        """
        if value is None:
            return None
        try:
            converted = TYPES[self.type](value)
        except (ValueError, TypeError):
            raise InputError(f"The parameter {self.name!r} takes {_ARTICLES[self.type]}, not {value!r}.") from None
        if self.choices and converted not in self.choices:
            hint = nearest(str(converted), map(str, self.choices))
            raise InputError(f"The parameter {self.name!r} cannot be {value!r}: {hint}")
        if not self._is_in_range(converted):
            raise InputError(f"The parameter {self.name!r} takes {_ARTICLES[self.type]} {self.allowed}, not {value!r}.")
        return converted

    def _is_in_range(self, value: Any) -> bool:
        # Written so that NaN lies in no range.
        low: Any = self.low
        high: Any = self.high
        return (low is None or value >= low) and (high is None or value <= high)


_ARTICLES = {"text": "text", "integer": "a whole number", "number": "a number"}


def parameter(name: str, type_: str, written: str, description: str) -> Parameter:
    """Read what a header writes after `=`: the default, then `{a, b}` for choices or `[low, high]` for a range.

    Args:
        name: The parameter's name.
        type_: A name of `TYPES`.
        written: E.g. `main`, `class_mean {class_mean, pooled}`, `0.95 [0, 1]` or `5 [1, ]`; the default `null` is none.
        description: What it does.

    Raises:
        InputError: The default or a limit is not of the type, or the default is not allowed.
    """
    match = _WRITTEN.fullmatch(written)
    default, choices, range_ = (match["default"], match["choices"], match["range"]) if match else (written, None, None)
    if range_ and type_ == "text":
        raise InputError(f"The parameter {name!r} is text, which has no range: list its values as {{a, b}}.")
    blank = Parameter(name, type_, None, description)
    listed = tuple(blank.parse(choice.strip()) for choice in choices.split(",")) if choices is not None else ()
    low, high = (blank.parse(end.strip() or None) for end in (range_ or ",").split(","))
    limited = replace(blank, choices=listed, low=low, high=high)
    return replace(limited, default=limited.parse(None if default == "null" else default))
