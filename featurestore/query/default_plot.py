"""The plot that a question's header names: a mark, and which column goes where. Parsing only; drawing is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from featurestore.errors import InputError
from featurestore.names import pick

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

KINDS = ("scatter", "heatmap")
CHANNELS = ("x", "y", "color", "shape")
_NEEDED = {"scatter": ("x", "y"), "heatmap": ("x", "y", "color")}


@dataclass(frozen=True, slots=True)
class Plot:
    """How an answer is drawn if nobody says otherwise.

    Attributes:
        kind: `scatter` (a point per row) or `heatmap` (a coloured cell per row).
        channels: The answer's column for each of `x`, `y`, `color` and `shape` that is used.
    """

    kind: str
    channels: Mapping[str, str]


def plot(written: str, columns: Collection[str]) -> Plot:
    """Read a header's plot, e.g. `x=accuracy y=fpr95 color=pretraining` or `heatmap x=dataset y=model color=fpr95`.

    Raises:
        MissingError: A kind, channel or column is none; the message names the nearest one.
        InputError: It is written in another way, a channel is given twice, or one that the kind needs is missing.
    """
    words = written.split()
    kind = words.pop(0) if words and "=" not in words[0] else KINDS[0]
    pick("kind of plot", kind, KINDS)
    channels: dict[str, str] = {}
    for word in words:
        channel, equals, column = word.partition("=")
        if not equals or channel in channels:
            raise InputError(f"A plot is written as `[KIND] x=COLUMN y=COLUMN …`, each once; got {word!r}.")
        channels[pick("channel of a plot", channel, CHANNELS)] = pick("column of the answer", column, columns)
    missing = [channel for channel in _NEEDED[kind] if channel not in channels]
    if missing:
        raise InputError(f"A {kind} needs {missing[0]}=COLUMN.")
    return Plot(kind, channels)
