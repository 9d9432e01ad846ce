"""The boundary around libraries that read files of strangers: whatever they raise becomes one sentence, in our own words on safety."""

from __future__ import annotations

import contextlib
import re
import stat
from typing import TYPE_CHECKING

from featurestore.errors import InputError, LakeError, first_line
from featurestore.quantities import bytes_text
from featurestore.shown_text import plain

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator
    from pathlib import Path

_ADVICE = re.compile(
    r"weights_only|allow_pickle|safe_globals|trust|arbitrary code|max_header_size|unsafe", re.IGNORECASE
)
"""What libraries say of switching their safety off: nobody is advised to, since who wrote the file may be a stranger."""
_LONGEST = 300
_SMALL = 256 << 20
_RATIO = 100
"""Weights do not shrink like this: more is made to fill memory."""


@contextlib.contextmanager
def reading(path: Path | str, what: str) -> Iterator[None]:
    """Turn whatever is raised inside into one sentence on a file; the lake's own errors pass, as does a library that is missing.

    Raises:
        InputError: Something was raised.
    """
    try:
        yield
    except (LakeError, ModuleNotFoundError):
        raise
    except MemoryError as error:
        raise InputError(f"Cannot read {path} as {what}: it would take more memory than there is.") from error
    except Exception as error:  # loaders raise almost anything of a broken file
        raise InputError(f"Cannot read {path} as {what}: {reason(error)}.") from error


def reason(error: BaseException) -> str:
    """What a library's error says, as far as it is a reason."""
    if _ADVICE.search(str(error)):
        return "it holds what is no plain array, whose loading could run code"
    said = plain(first_line(error)).replace("\n", " ")
    named = said if " " in said else f"{type(error).__name__} {said}"
    return named if len(named) <= _LONGEST else f"{named[:_LONGEST]}…"


def check_is_file(path: Path, what: str) -> None:
    """Raise unless a path is that of a file: a pipe or a device would be read for ever.

    Raises:
        InputError: It is not, or is not there.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read the {what} {path}: {first_line(error)}.") from error
    if not stat.S_ISREG(mode):
        kind = "Is a directory" if stat.S_ISDIR(mode) else "it is a pipe or a device, and no file"
        raise InputError(f"Cannot read the {what} {path}: {kind}.")


def check_unpacked(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise if an archive is made to fill the memory of whoever unpacks it.

    Raises:
        InputError: Unpacked, it would be more than 256 MB, and more than a hundred times as large as the file.
    """
    packed, held = path.stat().st_size, sum(info.file_size for info in archive.infolist())
    if held > _SMALL and held > _RATIO * packed:
        raise InputError(
            f"{path} would be {bytes_text(held)} unpacked, {held // max(packed, 1):,} times its size, as a decompression bomb is: "
            "it was not read. If it is yours, save it uncompressed."
        )
