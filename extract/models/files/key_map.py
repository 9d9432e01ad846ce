"""Key maps: names of arrays in a file, and the network's names for them."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from extract.models.files.note import Note
from featurestore.errors import InputError, first_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Value = TypeVar("Value")
_HEADER = ["from", "to"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A regular expression to search in a name, and its replacement; a name that becomes empty drops the array."""

    pattern: re.Pattern[str]
    target: str

    def __call__(self, name: str) -> str:
        """The name with the rule applied."""
        return self.pattern.sub(self.target, name)


def read_rules(path: Path) -> list[Rule]:
    """Read a key map: a CSV file with the header `from,to`, or a JSON object from pattern to replacement.

    Raises:
        InputError: The file cannot be read, or a rule is none.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        pairs = _pairs(text, path)
    except (OSError, RecursionError) as error:
        raise InputError(f"Cannot read the key map {path}: {first_line(error)}.") from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"The key map {path} is no CSV or JSON file: {first_line(error)}.") from error
    return [_rule(pattern, target, path) for pattern, target in pairs]


def _pairs(text: str, path: Path) -> list[tuple[str, str]]:
    if text.lstrip().startswith("{"):
        return [(str(pattern), str(target)) for pattern, target in json.loads(text).items()]
    rows = [row for row in csv.reader(io.StringIO(text)) if row and not row[0].startswith("#")]
    if not rows or [cell.strip() for cell in rows[0]] != _HEADER:
        raise InputError(f"The key map {path} must begin with the header from,to, or be a JSON object.")
    odd = next((row for row in rows if len(row) != len(_HEADER)), None)
    if odd:
        raise InputError(f"The key map {path} has a row that is no pair of from and to: {','.join(odd)}")
    return [(row[0], row[1]) for row in rows[1:]]


def _rule(pattern: str, target: str, path: Path) -> Rule:
    try:
        rule = Rule(re.compile(pattern), target)
        re.compile(f"(?:{pattern})|").sub(target, "")
    except (re.error, IndexError) as error:
        raise InputError(f"The key map {path} cannot turn {pattern!r} into {target!r}: {error}.") from error
    return rule


def renamed(arrays: Mapping[str, Value], rules: Sequence[Rule], path: Path) -> tuple[dict[str, Value], Note]:
    """Arrays under the names that rules give them, each rule applied in turn to what the one before made of a name.

    Raises:
        InputError: Two arrays would have one name, or a rule applies to no name.
    """
    result: dict[str, Value] = {}
    origins: dict[str, str] = {}
    used = [False] * len(rules)
    dropped = changed = 0
    for name, value in arrays.items():
        own = name
        for number, rule in enumerate(rules):
            found = rule(own)
            used[number] |= found != own or bool(rule.pattern.search(own))
            own = found
        changed += own != name
        if not own:
            dropped += 1
            continue
        if own in result:
            raise InputError(f"The key map {path} calls both {origins[own]} and {name} {own}.")
        result[own], origins[own] = value, name
    idle = [rule.pattern.pattern for rule, was_used in zip(rules, used, strict=True) if not was_used]
    if idle:
        raise InputError(f"The key map {path} has rules that apply to no array of the file: {', '.join(idle[:4])}.")
    left_out = f", {dropped} left out" if dropped else ""
    return result, Note("names", f"{changed} of {len(arrays)} renamed{left_out}", f"--key-map {path.name}")
