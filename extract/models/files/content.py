"""What a checkpoint file is, by its bytes: a suffix may say anything."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from typing import TYPE_CHECKING

from extract.models.files.boundary import check_is_file, check_unpacked, reading
from featurestore.errors import InputError, first_line
from featurestore.shown_text import plain

if TYPE_CHECKING:
    from pathlib import Path

SAFETENSORS, TORCH, LEGACY_TORCH, ARRAYS, SHARDS = "safetensors", "torch", "legacy torch", "npz", "shards"
_START = 16  # bytes
_LARGEST_INDEX = 64 << 20


def kind_of(path: Path) -> str:
    """`safetensors`, `torch`, `legacy torch`, `npz`, or `shards` for the JSON index of a checkpoint in several files.

    Raises:
        InputError: The file cannot be read, or is none of these.
    """
    check_is_file(path, "checkpoint")
    try:
        with path.open("rb") as file:
            start = file.read(_START)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise InputError(f"Cannot read the checkpoint {path}: {first_line(error)}.") from error
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= size - 8:
        return SAFETENSORS
    if start.startswith(b"PK"):
        return _kind_of_zip(path)
    if start.startswith(b"\x80"):
        return LEGACY_TORCH
    if start.lstrip().startswith(b"{") and weight_map(path) is not None:
        return SHARDS
    raise InputError(
        f"{path} is no checkpoint that can be read, {_what(start, size)}: expected safetensors, what torch.save writes, "
        "or an .npz archive. Get the file again if it was downloaded."
    )


def _what(start: bytes, size: int) -> str:
    return f"since it begins with {start[:8]!r}" if size else "since it is empty"


def _kind_of_zip(path: Path) -> str:
    with reading(path, "a PyTorch checkpoint or .npz"), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        check_unpacked(path, archive)
    if any(name.endswith("constants.pkl") for name in names):
        raise InputError(
            f"{path} is a TorchScript archive, which holds a program: save the state_dict() of its network, "
            "as safetensors if you can."
        )
    if any(name.endswith("data.pkl") for name in names):
        return TORCH
    if names and all(name.endswith(".npy") for name in names):
        return ARRAYS
    raise InputError(
        f"{path} is a zip archive of something else than a checkpoint (the first file in it is {plain(str(names[:1]))})."
    )


def weight_map(path: Path) -> dict[str, str] | None:
    """Which shard holds each array, of the JSON index of a checkpoint in several files; None if the file is no such index."""
    try:
        if path.stat().st_size > _LARGEST_INDEX:
            return None
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    found = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(found, dict) or not found:
        return None
    return {str(name): str(shard) for name, shard in found.items()}


def shards_of(path: Path) -> list[Path]:
    """The files that an index names, beside it.

    Raises:
        InputError: One is not there, or lies elsewhere.
    """
    files = [path.parent / name for name in sorted(set((weight_map(path) or {}).values()))]
    for file in files:
        if file.parent != path.parent or not file.is_file():
            raise InputError(f"{path} names the shard {file.name}, and there is no such file beside it.")
    return files


def sha256_of(path: Path) -> str:
    """sha256 of a file, as 64 hex digits; of the index of several files, over theirs.

    Raises:
        InputError: A file cannot be read.
    """
    if path.name.endswith(".json") and weight_map(path) is not None:
        lines = "".join(f"{sha256_of(shard)}  {shard.name}\n" for shard in shards_of(path))
        return hashlib.sha256(lines.encode()).hexdigest()
    check_is_file(path, "checkpoint")
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"Cannot read the checkpoint {path}: {error.strerror}.") from error
