"""Sentences from numbers: escaped, without control characters, with n and interval, and careful where n is small."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup
from scipy.special import stdtrit

from featurestore.shown_text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

FEW = 5
_LONG = 36


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a sentence; the page keeps its full value beside the rounded text, and where it came from.

    Attributes:
        value: The number.
        text: How it is shown.
        source: The question, its column and row, as `best_detector.mean_fpr95`; for readers and tests.
    """

    value: float
    text: str
    source: str = ""

    def __html__(self) -> str:
        return Markup('<data value="{:.6g}" data-source="{}">{}</data>').format(self.value, self.source, self.text)


class Text(str):
    """A part of a sentence that is no name: it is escaped, and not set apart."""

    __slots__ = ()


def sentence(template: str, **parts: str | float | Number) -> Markup:
    """A sentence as HTML: parts are escaped, controls spelled out, names of things set apart; no line ends within `95 %` or `n = 8`.

    Args:
        template: HTML with `{name}` for each part.
        parts: Names (set in bold), other texts, counts, numbers, and sentences.
    """
    said = Markup(template).format_map({name: _part(value) for name, value in parts.items()})  # noqa: S704 # our own words
    return Markup(re.sub(r"(?<=\d) (?=%)|(?<=\bn) (?==)|(?<=\bn =) (?=\d)", "\u00a0", plain(str(said))))  # noqa: S704 # escaped already


def _part(value: str | float | Number) -> str | Number:
    if isinstance(value, Number | Text | Markup):
        return value
    return named(value) if isinstance(value, str) else f"{value:,}"


def named(name: str) -> Markup:
    """A name, set apart; of a long one both ends, and the whole where the mouse rests on it."""
    name = plain(name)
    if (short := shortened(name)) == name:
        return Markup("<b>{}</b>").format(name)
    return Markup('<b title="{}">{}</b>').format(name, short)


def shortened(name: str) -> str:
    """Both ends of a name of more than 36 characters.

    >>> shortened("vit_base_patch16_224.augreg_in21k_ft_in1k-wd_0.1-lr_0.03-res_224")
    'vit_base_patch16_224.…0.1-lr_0.03-res_224'
    """
    return name if len(name) <= _LONG else f"{name[: _LONG - 15]}…{name[-14:]}"


def percent(value: float, source: str = "") -> Number:
    """A share as a percentage."""
    return Number(value, f"{100 * value:.1f} %", source)


def points(value: float, source: str = "") -> Number:
    """A difference of shares in percentage points."""
    return Number(value, _minus(f"{100 * value:+.1f}"), source)


def correlation(value: float, source: str = "") -> Number:
    """A correlation."""
    return Number(value, _minus(f"{value:.2f}"), source)


def _minus(text: str) -> str:
    """A number with the sign that belongs to it: none for zero."""
    return text.replace("-", "−") if text.strip("+-0.") else text.lstrip("+-")


def span(low: float | None, high: float | None, *, shares: bool = True) -> str:
    """A 95 % interval as text, or that there is none."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return "no interval"
    scale, digits = (100, 1) if shares else (1, 2)
    unit = " points" if shares else ""
    return f"95 % interval {scale * low:.{digits}f} to {scale * high:.{digits}f}{unit}".replace("-", "−")


def hedge(count: int, thing: str = "models") -> str:
    """What to add where a statement rests on few things; empty otherwise."""
    if count >= FEW:
        return ""
    named = f"{count} {thing}" if count != 1 else f"one {thing.removesuffix('s')}"
    return f" With {named}, this is an observation, not a rule."


def clustered(count: int, models: int) -> Text:
    """What the values are that a statement rests on: models, or, where finetunes of a checkpoint are one value, what they are of."""
    return Text(" models" if count == models else f" values of {models} models, those of a checkpoint as one")


def other_sign(within: float | None, over_all: float) -> str:
    """What to add where a correlation within pretrainings has another sign than that over all models; empty otherwise."""
    if within is None or within * over_all >= 0:
        return ""
    return " Over all models the sign is the other (Spearman {over_all}): pretrainings differ in both."


def left_out(what: str, names: Sequence[str], most: int) -> list[str]:
    """A line on the things beyond the first `most`, of which something is not shown; none if there are no more."""
    return [f"{what}: of {', '.join(names[:most])}, and not of {', '.join(names[most:])}."] if names[most:] else []


def mean_interval(values: Sequence[float], comparisons: int = 1) -> tuple[float | None, float | None]:
    """The 95 % interval of a mean, by Student's t; nothing for fewer than two values.

    Args:
        values: At least one.
        comparisons: Of how many means this is one; where it was chosen among them, all of their intervals must hold at once,
            and are widened for it (Bonferroni).
    """
    count = len(values)
    if count < 2:
        return None, None
    mean = math.fsum(values) / count
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1) / count)
    reach = float(stdtrit(count - 1, 1 - 0.025 / comparisons)) * spread
    return mean - reach, mean + reach
