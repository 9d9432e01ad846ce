"""Constants of detectors' formulas: what they are called, what they may be, and how their values are written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TypeAlias

from featurestore.errors import InputError

Constant: TypeAlias = int | float | None
"""A value; None where it follows from the model by a rule."""


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """A constant of a detector's formula.

    Attributes:
        name: As it is typed, and as the functions of the detector that read it name it: `k`, `quantile`.
        default: Its value unless a variant chooses another; a whole number where it takes only those. None where it follows
            from the model by a rule, and is else a whole number.
        low: The smallest value that it takes.
        high: The largest; `math.inf` where there is none.
        meaning: What it is, in one phrase.
        rule: What a default of None stands for.
        stored: What fingerprints call it, where that is otherwise: scores stay current when a constant is renamed.
        unstated: Whether fingerprints leave the default out: scores stay current when a constant is declared that was fixed.
    """

    name: str
    default: Constant
    low: float
    high: float
    meaning: str
    rule: str = ""
    stored: str = ""
    unstated: bool = False

    def __post_init__(self) -> None:
        if not (self.name.isidentifier() and self.name.islower() and self.name.isascii()):
            raise InputError(f"{self.name!r} cannot be the name of a constant: use a-z, 0-9 and '_', a letter first.")
        if self.default is not None:
            self.checked(self.default, "the declaration")
        elif not self.rule:
            raise InputError(f"The constant {self.name} has no default, and no rule in words that takes its place.")

    @property
    def is_whole(self) -> bool:
        """Whether it takes whole numbers alone."""
        return self.default is None or isinstance(self.default, int)

    @property
    def bounds(self) -> str:
        """The values that it takes, in words.

        >>> Hyperparameter("k", 50, 1, math.inf, "neighbours").bounds
        'a whole number of 1 or more'
        """
        kind = "a whole number" if self.is_whole else "a number"
        return (
            f"{kind} of {self.low:g} or more" if math.isinf(self.high) else f"{kind} from {self.low:g} to {self.high:g}"
        )

    @property
    def default_text(self) -> str:
        """The default, or the rule that stands in for it."""
        return self.rule if self.default is None else written(self.default)

    def checked(self, value: object, detector: str) -> int | float:
        """Return a value as this constant has it.

        Args:
            value: A number, or a text that says one.
            detector: Who is given it.

        Raises:
            InputError: It is no number, not a whole one where one is wanted, or out of bounds; says what is allowed.
        """
        number = _number(value)
        fits = number is not None and self.low <= number <= self.high and math.isfinite(number)
        if number is None or not fits or (self.is_whole and not isinstance(number, int)):
            raise InputError(f"{self.name} of {detector} is {self.bounds}, and {value} is not.")
        return number if self.is_whole else float(number)

    def ingredient(self, value: Constant) -> str | None:
        """A value as fingerprints hold it; None where it goes without saying."""
        if self.unstated and value == self.default:
            return None
        return f"{self.stored or self.name}={self.rule if value is None else value}"


def written(value: float) -> str:
    """A value as names hold it, from which it can be read exactly.

    >>> written(0.9), written(1.0), written(1e20), written(50)
    ('0.9', '1', '1e20', '50')
    """
    return repr(value).removesuffix(".0").replace("e+", "e")


def _number(value: object) -> int | float | None:
    """A number, or what a text says; None for all else."""
    if isinstance(value, str):
        try:
            return int(value) if value.strip().lstrip("-").isdigit() else float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    return int(value) if isinstance(value, Integral) else float(value)
