"""Names in keys are slugs: what may stand in a path, a partition key and a SQL literal without surprises."""

from __future__ import annotations

import difflib
import re
import unicodedata
from itertools import accumulate
from typing import TYPE_CHECKING

from featurestore.errors import InputError, MissingError

if TYPE_CHECKING:
    from collections.abc import Iterable

_LISTED = 400  # characters
_SLUG = re.compile(r"(?=.*[a-z0-9])[a-z0-9._-]+")


def check_slug(kind: str, name: str) -> str:
    """Return `name` if it may stand in a key.

    Args:
        kind: What the name is for, e.g. `"dataset"`; used in the message.
        name: The name to check.

    Raises:
        InputError: `name` has other characters than `a-z 0-9 . _ -`; the message suggests a slug.
    """
    if _SLUG.fullmatch(name):
        return name
    suggestion = suggest_slug(name)
    hint = f": use {suggestion!r}" if suggestion else ""
    raise InputError(f"{name!r} cannot be the name of a {kind}, which takes only a-z, 0-9, '.', '_' and '-'{hint}.")


VARIANT = "@"
"""Between the name of a detector and the constants of a variant of it."""

_VIEW = "@"
_CONSTANTS = re.compile(r"[a-z][a-z0-9_]*=[a-z0-9.-]+(,[a-z][a-z0-9_]*=[a-z0-9.-]+)*")


def check_key(column: str, value: str) -> str:
    """Return the value of a key's column: a slug, or the name of a part of one thing.

    That is `MODEL@LAYER`, a view of a model, and `DETECTOR@CONSTANT=VALUE,…`, a variant of a detector.

    Raises:
        InputError: It is none of these.
    """
    base, mark, rest = value.partition(_VIEW)
    if mark and column == "model":
        return view_name(base, rest)
    if mark and column == "detector" and _CONSTANTS.fullmatch(rest):
        return f"{check_slug(column, base)}{VARIANT}{rest}"
    return check_slug(column, value)


def view_name(model: str, layer: str) -> str:
    """The name of a layer of a model, as a model of its own.

    >>> view_name("vit-b", "blocks.6")
    'vit-b@blocks.6'

    Raises:
        InputError: One of the two is not a slug.
    """
    return f"{check_slug('model', model)}{_VIEW}{check_slug('layer', layer)}"


def base_model(model: str) -> str:
    """The model that a layer is one of; a model that is none itself.

    >>> base_model("vit-b@blocks.6"), base_model("vit-b")
    ('vit-b', 'vit-b')
    """
    return model.partition(_VIEW)[0]


def suggest_slug(name: str) -> str:
    """Return the slug nearest to `name`, or an empty string if nothing of it can stay.

    >>> suggest_slug("ViT-B/16 (AugReg)")
    'vit-b-16-augreg'
    """
    if _SLUG.fullmatch(name):
        return name
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9._-]+", "-", ascii_name).strip("-.")
    return slug if _SLUG.fullmatch(slug) else ""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that helps with an unknown name: the nearest, those that contain it, or what there is."""
    names = sorted(known)
    if not names:
        return "there are none yet."
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    names = [longer for longer in names if name in longer] or names
    ends = accumulate(len(each) + 2 for each in names)
    listed = max(1, sum(end <= _LISTED for end in ends))
    more = f" and {len(names) - listed} more" if len(names) > listed else ""
    return f"there are {', '.join(names[:listed])}{more}."


def pick(kind: str, name: str, known: Iterable[str]) -> str:
    """Return `name` if it is one of `known`.

    Raises:
        MissingError: It is not; the message names the nearest one.
    """
    names = list(known)
    if name in names:
        return name
    raise MissingError(f"There is no {kind} {name!r}: {nearest(name, names)}")
