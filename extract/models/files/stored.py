"""The weights in a file: which of them, under which names, and what was inferred on the way."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from extract.models.files.boundary import reading
from extract.models.files.candidates import AUTO, choose
from extract.models.files.content import ARRAYS, SAFETENSORS, SHARDS, kind_of, sha256_of, shards_of, weight_map
from extract.models.files.key_map import read_rules, renamed
from extract.models.files.note import Note
from extract.models.files.pickles import read_torch
from extract.models.files.prefixes import without_prefix
from featurestore.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

_LARGE = 10_000_000


@dataclass(frozen=True, slots=True)
class StoredWeights:
    """Weights in a file.

    Attributes:
        path: The file; of a checkpoint in several files their index.
        which: `auto`, `raw`, `ema`, or the keys that lead to them in the file.
        key_map: A file that says which names become which.
    """

    path: Path
    which: str = AUTO
    key_map: Path | None = None

    def __str__(self) -> str:
        return str(self.path)

    @property
    def kind(self) -> str:
        """What the file is, by its bytes.

        Raises:
            InputError: It cannot be read, or is no checkpoint.
        """
        return kind_of(self.path)

    def ingredients(self) -> dict[str, str]:
        """What the choice of weights and names adds to a fingerprint; nothing where there is nothing to choose.

        Raises:
            InputError: As `read_state_dict`.
        """
        taken = "" if self.kind == ARRAYS else outline(self).ingredient
        return {
            **({"weights": taken} if taken else {}),
            **({"key_map_sha256": sha256_of(self.key_map)} if self.key_map else {}),
        }


@dataclass(frozen=True, slots=True)
class Outline:
    """What a file holds, without its values.

    Attributes:
        shapes: By name, as the network is to get them.
        ingredient: The keys that lead to the weights, where others could have been taken.
        notes: What was inferred.
        architecture: What the file calls its network; empty if it does not.
        arguments: What its trainer was given, where it says so: `args`, by name.
    """

    shapes: Mapping[str, tuple[int, ...]]
    ingredient: str
    notes: tuple[Note, ...]
    architecture: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


def read_state_dict(stored: StoredWeights) -> dict[str, Tensor]:
    """Read the weights of a file: safetensors, in one file or several, or what torch.save wrote.

    Keys around them (`state_dict`, `model`, …) and prefixes that all names share (`module.`, `model.`, …) are taken off.

    Raises:
        InputError: The file cannot be read, is no checkpoint, or holds more than tensors and plain values; or the weights that
            are wanted are not in it.
    """
    state = _named(_content(stored.path, shapes_only=False), stored)[0]
    for name, value in state.items():
        if fault := _fault(name, value):
            raise InputError(f"{stored} holds {name} as {fault}.")
    return state


def _fault(name: str, value: Tensor) -> str:
    """What keeps an array from being weights; empty if nothing does."""
    kind = str(value.dtype).removeprefix("torch.")
    if value.layout is not torch.strided:
        return "a sparse tensor: sparse weights are not read; save them dense, with to_dense()"
    if value.is_meta:
        return "a shape alone, without values (on torch's meta device): save the weights that were trained"
    if value.is_complex():
        return f"{kind}: complex weights are not read; save the weights as floats"
    if value.is_quantized or (name.endswith((".weight", ".bias")) and not value.dtype.is_floating_point):
        return f"{kind}: quantised weights are not read; save the weights as floats"
    if value.numel() > _LARGE and value.numel() * value.element_size() > value.untyped_storage().nbytes():
        return f"{list(value.shape)}, of which it stores {value.untyped_storage().nbytes():,} bytes alone: save copies, with contiguous()"
    return ""


def read_shapes(stored: StoredWeights) -> Mapping[str, tuple[int, ...]]:
    """The shapes of the arrays that `read_state_dict` reads, by name, mostly without reading their values.

    Raises:
        InputError: As `read_state_dict`.
    """
    return outline(stored).shapes


def outline(stored: StoredWeights) -> Outline:
    """What a file holds, mostly without reading its values.

    Raises:
        InputError: As `read_state_dict`.
    """
    times = tuple(path.stat().st_mtime_ns for path in (stored.path, stored.key_map) if path and path.exists())
    return _outline(stored, times)


@lru_cache(maxsize=64)
def _outline(stored: StoredWeights, _: tuple[int, ...]) -> Outline:
    content = _content(stored.path, shapes_only=True)
    arrays, ingredient, notes = _named(content, stored)
    said = content.get("arch") if isinstance(content, Mapping) else None
    shapes = {name: tuple(value.shape) for name, value in arrays.items()}
    args = content.get("args") if isinstance(content, Mapping) else None
    given = args if isinstance(args, Mapping) else vars(args) if isinstance(args, Namespace) else {}
    return Outline(shapes, ingredient, notes, said if isinstance(said, str) else "", given)


def _named(content: Any, stored: StoredWeights) -> tuple[dict[str, Tensor], str, tuple[Note, ...]]:
    choice = choose(content, stored.which, stored.path)
    arrays, prefix = without_prefix(choice.taken.arrays)
    notes = choice.notes
    if prefix:
        notes += (Note("prefix", f"{prefix} taken off", f"all {len(arrays)} names begin with it"),)
    if stored.key_map is not None:
        arrays, note = renamed(arrays, read_rules(stored.key_map), stored.key_map)
        notes += (note,)
    return arrays, choice.ingredient, notes


def _content(path: Path, *, shapes_only: bool) -> Any:
    kind = kind_of(path)
    if kind == ARRAYS:
        raise InputError(
            f"{path} is an .npz archive, which has arrays in the layout of the ViT papers, and no state dict."
        )
    if kind == SHARDS:
        return _joined(path, shapes_only=shapes_only)
    if kind == SAFETENSORS:
        return _read_safetensors(path, shapes_only=shapes_only)
    return read_torch(path, kind, mapped=shapes_only)


def _joined(path: Path, *, shapes_only: bool) -> dict[str, Tensor]:
    """The arrays of a checkpoint in several files, all that its index names and no other.

    Raises:
        InputError: A file is not there, or the files hold others than the index says.
    """
    named = weight_map(path) or {}
    joined: dict[str, Tensor] = {}
    for shard in shards_of(path):
        content = _content(shard, shapes_only=shapes_only)
        arrays = choose(content, AUTO, shard).taken.arrays
        if {name for name, file in named.items() if file == shard.name} != arrays.keys():
            raise InputError(
                f"{shard} does not hold the arrays that {path.name} says: get the files again, all of one model."
            )
        joined.update(arrays)
    return joined


def _read_safetensors(path: Path, *, shapes_only: bool) -> dict[str, Tensor]:
    with reading(path, "safetensors"):
        if not shapes_only:
            return dict(load_file(path))
        with safe_open(path, framework="pt") as file:
            return {
                name: torch.empty(file.get_slice(name).get_shape(), device="meta")
                for name in file.keys()  # noqa: SIM118 # it has no iterator
            }
