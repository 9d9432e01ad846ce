"""Reading what torch.save wrote, as data: nothing in it is ever run.

Trainers put more than weights into their files: arguments, numbers of numpy, paths. PyTorch's restricted unpickler refuses
them unless it knows their classes. Those listed here are harmless: they are read as `argparse.Namespace`, or as stand-ins
that take what they are given and do nothing. No code of the named libraries runs, and they need not be installed.
"""

from __future__ import annotations

import argparse
import contextlib
import pickle
import re
import warnings
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Self

import torch

from extract.models.files.boundary import reading
from extract.models.files.content import TORCH
from featurestore.errors import InputError
from featurestore.shown_text import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class _StandIn:
    """An object of a class that is not looked at: it takes anything and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> Self:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


def _object(name: str) -> Callable[..., Any]:
    module, _, own = name.rpartition(".")
    return type(own, (_StandIn,), {"__module__": module, "__qualname__": own})


def _mapping(name: str) -> Callable[..., Any]:
    """A mapping's stand-in: entries are kept, since weights may be among them; arguments are not looked at."""

    def make(*_: Any) -> OrderedDict[Any, Any]:
        return OrderedDict()

    make.__module__, _, make.__qualname__ = name.rpartition(".")
    return make


_NUMPY = ("numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
_NUMPY_DTYPES = tuple(
    f"numpy.dtypes.{name}DType"
    for name in (
        "Float16",
        "Float32",
        "Float64",
        "Int8",
        "Int16",
        "Int32",
        "Int64",
        "UInt8",
        "UInt32",
        "UInt64",
        "Bool",
        "Str",
    )
)
_PATHS = tuple(
    f"pathlib{inner}.{name}"
    for inner in ("", "._local")
    for name in ("PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath", "Path", "PurePath")
)
_TIMES = ("datetime.datetime", "datetime.date", "datetime.timedelta")
HARMLESS: tuple[Callable[..., Any], ...] = (
    argparse.Namespace,
    *map(_object, (*_NUMPY, *_NUMPY_DTYPES, *_PATHS, *_TIMES)),
    _mapping("collections.defaultdict"),
)
_OTHER = ".safetensors"
"""A path of this suffix torch.load takes for what it says, whatever the bytes are."""
_REFUSED = re.compile(r"GLOBAL (\S+)")


def read_torch(path: Path, kind: str, *, mapped: bool = False) -> Any:
    """What torch.save wrote; mapped, its values stay in the file where its format allows that.

    Raises:
        InputError: The file cannot be read, or holds Python objects whose classes are not known to be harmless.
    """
    with (
        reading(path, "a PyTorch checkpoint"),
        _told(path),
        warnings.catch_warnings(),
        torch.serialization.safe_globals([*HARMLESS, list, dict]),
    ):
        # Remarks on old pickle protocols help nobody: the file loads as data or it is refused.
        warnings.simplefilter("ignore")
        if mapped and kind == TORCH and path.suffix != _OTHER:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        with path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say which class of objects PyTorch's unpickler refuses, where it does."""
    try:
        yield
    except pickle.UnpicklingError as error:
        refused = _REFUSED.search(str(error))
        raise InputError(
            f"{path} holds Python objects{f' ({plain(refused[1])})' if refused else ''} whose loading would run code, so it was "
            "not loaded: save its state dict alone, as safetensors if you can."
        ) from error
