"""Fingerprints: sha256 over everything that determines a partition's content."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Ingredient: TypeAlias = str | int | float | bool | list["Ingredient"] | None
Ingredients: TypeAlias = "Mapping[str, Ingredient]"


_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(table: str, key: Mapping[str, str], ingredients: Ingredients) -> str:
    """Return the sha256 (64 hex digits) of a partition's table, key and ingredients, whatever their order."""
    text = _JSON.encode([table, dict(key), dict(ingredients)])
    return hashlib.sha256(text.encode()).hexdigest()


def differences(
    stored: Ingredients, wanted: Ingredients, *, here: str = "in the lake", there: str = "now"
) -> list[str]:
    """Say per ingredient that differs what the lake holds and what is wanted now, in the order of the names."""
    names = sorted(stored.keys() | wanted.keys())
    texts = [(name, _text(stored, name), _text(wanted, name)) for name in names]
    return [f"{name} ({here}: {_short(old)}, {there}: {_short(new)})" for name, old, new in texts if old != new]


def _text(ingredients: Ingredients, name: str) -> str:
    """An ingredient as the fingerprint sees it, where 1, 1.0, "1" and true differ."""
    return json.dumps(ingredients[name], ensure_ascii=False) if name in ingredients else "not there"


def _short(text: str) -> str:
    text = text.strip('"')
    is_digest = len(text) == 64 and all(c in "0123456789abcdef" for c in text)
    return text[:12] + "…" if is_digest else text
