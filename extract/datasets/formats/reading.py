"""Errors of reading: those of the place where bytes lie, and those of the bytes themselves."""

from __future__ import annotations

from featurestore.errors import LakeError


def is_unreachable(error: Exception) -> bool:
    """Whether what was raised while bytes were read says nothing of the image: its place is away, refuses or does not answer.

    A plain OSError without a number is what Arrow raises on broken bytes, and what is broken stays so.

    >>> is_unreachable(FileNotFoundError(2, "No such file or directory")), is_unreachable(TimeoutError())
    (True, True)
    >>> is_unreachable(OSError("Corrupt snappy compressed data.")), is_unreachable(EOFError("the tar file is cut"))
    (False, False)
    """
    if isinstance(error, OSError):
        return type(error) is not OSError or error.errno is not None
    return isinstance(error, LakeError)  # of a container, or of a library that fetches it: no image is to blame
