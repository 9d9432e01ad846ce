"""What is found of one thing, and findings as lines and as data."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_LEAST = 20
"""Characters of a line that are worth breaking it for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one thing.

    Attributes:
        topic: What it is about, in a word or two: the same on every machine.
        said: What it is like, in a line.
        values: The same as data: texts, numbers, truth values, and lists and mappings of them; bytes and seconds as such.
        troubles: What of it would stop a job, each in a sentence that says what to do.
    """

    topic: str
    said: str
    values: Mapping[str, Any] = field(default_factory=dict)
    troubles: tuple[str, ...] = ()


def troubles(findings: Sequence[Finding]) -> list[str]:
    """The troubles of all of them."""
    return [trouble for finding in findings for trouble in finding.troubles]


def findings_as_json(findings: Sequence[Finding]) -> dict[str, dict[str, Any]]:
    """The values by topic."""
    return {finding.topic: dict(finding.values) for finding in findings}


def findings_as_lines(findings: Sequence[Finding], width: int) -> Iterator[str]:
    """The topics in a column, beside what is said of each.

    Args:
        findings: What was found.
        width: Characters of a line; what is said is broken at spaces to fit.

    >>> found = [Finding("cores", "2"), Finding("lake", "nothing there yet")]
    >>> list(findings_as_lines(found, 80))
    ['cores  2', 'lake   nothing there yet']
    """
    longest = max((len(finding.topic) for finding in findings), default=0)
    for finding in findings:
        room = max(width - longest - 2, _LEAST)
        lines = textwrap.wrap(finding.said, room, break_long_words=False, break_on_hyphens=False) or [""]
        yield f"{finding.topic:<{longest}}  {lines[0]}".rstrip()
        yield from (f"{'':<{longest}}  {line}" for line in lines[1:])
