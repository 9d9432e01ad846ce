"""What the column `format` of datasets says: a format with its options, `folder?parent=val&chosen=classes+ant`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

_PARENT = "parent"


def text_of(name: str, options: Mapping[str, str]) -> str:
    """A format with its options.

    >>> text_of("ninco", {"part": "ood-classes", "subset": "46"})
    'ninco?part=ood-classes&subset=46'
    """
    query = urlencode(options, safe="/:")
    return f"{name}?{query}" if query else name


def parsed(text: str) -> tuple[str, dict[str, str]]:
    """The inverse of `text_of`.

    >>> parsed("ninco?part=ood-classes&subset=46")
    ('ninco', {'part': 'ood-classes', 'subset': '46'})
    """
    name, _, query = text.partition("?")
    return name, dict(parse_qsl(query, keep_blank_values=True))


def parent_of(text: str) -> str | None:
    """The dataset that one of this format is a part of; None if it is none."""
    return parsed(text)[1].get(_PARENT)


def with_parent(text: str, parent: str | None) -> str:
    """The same of another parent; a part stays a part without one, by what it says of its choice.

    >>> with_parent("folder?parent=val&chosen=all", "im-val"), with_parent("folder?parent=val&chosen=all", None)
    ('folder?parent=im-val&chosen=all', 'folder?chosen=all')
    """
    name, options = parsed(text)
    changed = {key: parent if key == _PARENT else value for key, value in options.items()}
    return text_of(name, {key: value for key, value in changed.items() if value is not None})
