"""Texts as they may be shown: without what moves a terminal's cursor, hides or reorders characters, and without secrets."""

from __future__ import annotations

import re

_SPACES = "\n\t\u00a0\u202f"
_HIDDEN = "…"
_USER = re.compile(r"(?<=://)[^\s/?#@'\"]*:[^\s/?#@'\"]+(?=@)")
_VALUE = re.compile(
    r"(?i)(?<=[?&;])((?:x-amz-|x-goog-)?(?:signature|credential|security-token|sig|token|access[-_]?token|api[-_]?key|"
    r"access[-_]?key(?:[-_]?id)?|secret(?:[-_]?(?:access[-_]?)?key)?|awsaccesskeyid|account[-_]?key|password|pwd|session[-_]?token))"
    r"=[^\s&;#'\"]+"
)


def plain(text: str) -> str:
    r"""A text in which each character is seen: controls, invisible ones and turns of direction are spelled out; lines and spaces stay.

    >>> print(plain("a\x1b[2J\u202eb"))
    a\x1b[2J\u202eb
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _SPACES else repr(c)[1:-1] for c in text)


def redacted(text: str) -> str:
    """A text without what may be secret in the URLs in it: a password before the host, a signature, key or token behind it.

    >>> redacted("s3://me:secret@bucket/lake and https://host/a?sp=r&sig=abc%3D")
    's3://…@bucket/lake and https://host/a?sp=r&sig=…'
    """
    if "://" not in text and "=" not in text:
        return text
    return _VALUE.sub(rf"\1={_HIDDEN}", _USER.sub(_HIDDEN, text))


def shown(text: str) -> str:
    """A text of ours for a terminal, into which names, places and words of others may have come."""
    return plain(redacted(text))
