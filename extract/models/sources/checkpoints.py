"""Checkpoint files as data: weights are read, code in them is never run."""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from featurestore.errors import InputError, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor, nn

_WRAPPERS = ("state_dict", "model", "model_state_dict", "state_dict_ema", "model_ema")
_LISTED = 4
_STARTS = (b"\x80", b"PK")
"""How pickles and zip files begin."""
_NPZ_ERRORS = (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, pickle.UnpicklingError, AttributeError)


def sha256_of(path: Path) -> str:
    """sha256 of a file, as 64 hex digits.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"Cannot read the checkpoint {path}: {error.strerror}.") from error


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a `.safetensors` or PyTorch checkpoint.

    Wrappers around the state dict (`state_dict`, `model`, …) and the prefix `module.` are taken off.

    Raises:
        InputError: The file cannot be read, is no checkpoint, or holds more than tensors and plain values.
    """
    return _unwrapped(_read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path), path)


def _unwrapped(raw: Any, path: Path) -> dict[str, Tensor]:
    for wrapper in _WRAPPERS:
        if isinstance(raw, dict) and isinstance(raw.get(wrapper), dict):
            raw = raw[wrapper]
            break
    if not isinstance(raw, dict) or not raw or not all(isinstance(value, torch.Tensor) for value in raw.values()):
        raise InputError(f"{path} holds no state dict: expected tensors by parameter name.")
    return {name.removeprefix("module."): value for name, value in raw.items()}


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes in a `.safetensors` or PyTorch checkpoint by name, mostly without reading the values.

    Raises:
        InputError: As `read_state_dict`.
    """
    if path.suffix != ".safetensors":
        return {name: tuple(value.shape) for name, value in _unwrapped(_read_torch(path, mapped=True), path).items()}
    try:
        with safe_open(path, framework="pt") as file:
            return {name.removeprefix("module."): tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 # it has no iterator
    except (SafetensorError, OSError) as error:
        raise InputError(f"Cannot read {path} as safetensors: {first_line(error)}.") from error


def load_state(model: nn.Module, state: Mapping[str, Tensor], path: Path, architecture: str) -> None:
    """Load a state dict into a model, every parameter of it.

    Raises:
        InputError: Parameters are missing, unexpected, or of another shape; the message names the first of each.
    """
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    missing = [name for name in own if name not in shapes]
    unexpected = [name for name in shapes if name not in own]
    reshaped = [
        f"{name} is {list(shapes[name])}, not {list(own[name])}"
        for name in own
        if name in shapes and shapes[name] != own[name]
    ]
    faults = [_listed("missing", missing), _listed("unexpected", unexpected), _listed("of another shape", reshaped)]
    if any(faults):
        raise InputError(
            f"{path} is not a checkpoint of {architecture} with these --model-kwargs: {'; '.join(filter(None, faults))}."
        )
    model.load_state_dict(state, strict=True)


def _listed(what: str, names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{what}: {', '.join(names[:_LISTED])}{more}" if names else ""


def _read_safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"Cannot read {path} as safetensors: {first_line(error)}.") from error


def _read_torch(path: Path, *, mapped: bool = False) -> Any:
    """Read a checkpoint; mapped, its values stay in the file where its format allows that."""
    try:
        with warnings.catch_warnings():
            # Remarks on old pickle protocols help nobody: the file loads as data or it is refused.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped and zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        with path.open("rb") as file:
            if not file.read(2).startswith(_STARTS):
                raise InputError(f"{path} is no PyTorch checkpoint: get the file again.") from error
        raise InputError(
            f"{path} holds Python objects whose loading would run code, so it was not loaded: "
            "save its state dict alone, as safetensors if you can."
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise InputError(f"Cannot read {path} as a PyTorch checkpoint: {first_line(error)}.") from error


def npz_classes(path: Path) -> int | None:
    """The outputs of the head in an AugReg `.npz` file; None if it has no head.

    Raises:
        InputError: The file is no `.npz`, or holds Python objects.
    """
    with plain_arrays(path) as arrays:
        return arrays["head/kernel"].shape[-1] if "head/kernel" in arrays.files else None


@contextlib.contextmanager
def plain_arrays(path: Path) -> Iterator[Any]:
    """An open `.npz` file, without any Python objects in it.

    Raises:
        InputError: The file is no `.npz`, or what is read of it holds Python objects.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except _NPZ_ERRORS as error:
        raise InputError(f"Cannot read {path} as plain .npz arrays: {first_line(error)}.") from error


def load_npz(model: nn.Module, path: Path, architecture: str) -> None:
    """Load JAX weights of the AugReg layout through timm's own reader, and check that all of the model was covered.

    Raises:
        InputError: The file cannot be read, or its arrays are not the architecture's.
    """
    with plain_arrays(path) as arrays:
        shapes = {name: arrays[name].shape for name in arrays.files}
    if not hasattr(model, "load_pretrained"):
        raise InputError(f"{path} is in the .npz layout of the ViT papers, which {architecture} cannot load.")
    kernel = shapes.get("head/kernel")
    classes = getattr(model, "num_classes", 0)
    if (0 if kernel is None else kernel[-1]) != classes:
        found = "no head" if kernel is None else f"a head of {kernel[-1]} classes"
        raise InputError(f"{path} has {found}, and the model has {classes}: give --model-kwargs num_classes=….")
    try:
        loader: Any = model.load_pretrained
        loader(str(path))
    except (KeyError, AssertionError, RuntimeError, ValueError, IndexError, AttributeError) as error:
        raise InputError(
            f"{path} is not a checkpoint of {architecture} with these --model-kwargs: {first_line(error)}."
        ) from error
