"""Tables of facts that are shipped beside this module."""

from __future__ import annotations

import csv
from importlib import resources


def shipped_rows(name: str) -> list[dict[str, str]]:
    """The rows of a shipped CSV file, by column."""
    text = resources.files("extract.pools").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
