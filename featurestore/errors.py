"""Every error that featurestore raises on purpose: one tree, each with the builtin that a caller would catch."""

from __future__ import annotations

import re

_TRACEBACK = re.compile(r"Traceback \(most recent call last\):.*(?=\b\w+Error: )", re.DOTALL)


class LakeError(Exception):
    """Something failed in a way that its message explains: what, where, expected, got, and the next step."""


class InputError(LakeError, ValueError):
    """What the caller handed over (a name, a file, a folder, an option) cannot be used."""


class MissingError(LakeError, LookupError):
    """Something that was asked for by name is not there."""


class ConflictError(LakeError):
    """The lake holds the same partition made from other ingredients."""


class StorageError(LakeError, OSError):
    """The lake cannot be reached, read or written."""


class UnreadableError(LakeError, OSError):
    """Images cannot be read where they lie: their place is away, refuses or does not answer."""


class ClusterError(LakeError, ConnectionError):
    """No Ray cluster answers where one was asked for, whichever model is worked on."""


class CorruptionError(LakeError):
    """What the lake holds contradicts its own manifests."""


class FormatError(LakeError):
    """The lake was written in a format that this version does not read."""


class NumericalError(LakeError, ArithmeticError):
    """Numbers came out, or came in, that must not be stored: NaN, infinity, overflow."""


class StaleWarning(UserWarning):
    """An answer rests on what is stale, mixed or partial: as an error (`warnings.simplefilter`), it is refused."""


def first_line(error: BaseException) -> str:
    """The first line of what a library's error says, without what it adds below for debugging; else the error's kind."""
    text = getattr(error, "strerror", None) or str(error).strip()
    return (text.partition("\n")[0] or type(error).__name__).rstrip(".")


def one_line(error: Exception) -> str:
    """DuckDB's message without the picture of the query below it, and of what Python raised inside it the message alone."""
    text = _TRACEBACK.sub("", str(error).partition("\nLINE")[0]).partition("Debug source:")[0]
    lines = text.splitlines()
    return " ".join(line.strip() for line in lines if line.strip())
