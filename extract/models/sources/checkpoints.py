"""Loading weights into networks: every parameter must get a value, and every array of the file must be used."""

from __future__ import annotations

import contextlib
import io
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from extract.models.files import check_is_file, check_unpacked, reading, reason
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor, nn

_LISTED = 4


def load_state(model: nn.Module, state: Mapping[str, Tensor], path: Path, architecture: str) -> None:
    """Load a state dict into a model, every parameter of it; one on the meta device gets copies in the place of its own.

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
    ours = model.state_dict()
    no_numbers = [
        f"{name} is {str(state[name].dtype).removeprefix('torch.')}"
        for name in own
        if name in shapes and ours[name].is_floating_point() and not state[name].is_floating_point()
    ]
    faults = [
        _listed("missing", missing),
        _listed("unexpected", unexpected),
        _listed("of another shape", reshaped),
        _listed("no floating-point numbers", no_numbers),
    ]
    if any(faults):
        raise InputError(
            f"{path} is not a checkpoint of {architecture} with these --model-kwargs: {'; '.join(filter(None, faults))}."
            f"{_remedy(model, missing, shapes, own)}"
        )
    bare = any(parameter.is_meta for parameter in model.parameters())
    if bare:
        kinds = {name: value.dtype for name, value in model.state_dict().items()}
        # Copies in one layout, as a network has that was built whole, and that a file cannot change any more.
        state = {
            name: value.detach().to(kinds[name], memory_format=torch.contiguous_format, copy=True)
            for name, value in state.items()
        }
    model.load_state_dict(state, strict=True, assign=bare)


def _remedy(
    model: nn.Module, missing: list[str], shapes: Mapping[str, tuple[int, ...]], own: Mapping[str, tuple[int, ...]]
) -> str:
    """What would mend the most usual faults: a head of other classes, a ViT of another size, a prefix that not all names have."""
    others = {(shapes[name], own[name]) for name in own if name in shapes and shapes[name] != own[name]}
    outputs = {(theirs[:1], ours[:1]) for theirs, ours in others}
    if not missing and len(outputs) == 1 and all(theirs[1:] == ours[1:] for theirs, ours in others):
        (theirs, ours) = outputs.pop()
        if ours == (getattr(model, "num_classes", None),) and theirs:
            return f" Its head has {theirs[0]:,} classes: give --model-kwargs num_classes={theirs[0]}."
    said = _sizes_of_vit(shapes)
    if said and said != _sizes_of_vit(own):
        told = " ".join(f"--model-kwargs {name}={value}" for name, value in said.items())
        return f" Its arrays are those of {told}; how many heads attention has, num_heads, no array tells."
    prefix = next((name.removesuffix(missing[0]) for name in shapes if missing and name.endswith(f".{missing[0]}")), "")
    there = sum(prefix + name in shapes for name in missing)
    if prefix and 2 * there > len(missing):
        what = "Those" if there == len(missing) else "Most of those"
        return f" {what} that are missing are there behind {prefix!r}: --key-map FILE takes it off, and leaves out or turns other names."
    return ""


def _sizes_of_vit(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """The sizes of timm's `VisionTransformer` that the shapes of its arrays tell; none if they are of no such network."""
    kernel = shapes.get("patch_embed.proj.weight", ())
    blocks = {name.split(".")[1] for name in shapes if name.startswith("blocks.") and name.endswith(".attn.qkv.weight")}
    if len(kernel) != 4 or not blocks:
        return {}
    return {"patch_size": kernel[-1], "embed_dim": kernel[0], "depth": len(blocks)}


def _listed(what: str, names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{what}: {', '.join(names[:_LISTED])}{more}" if names else ""


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
    with reading(path, "plain .npz arrays"):
        if path.exists():
            check_is_file(path, "archive")
            with zipfile.ZipFile(path) as archive:
                check_unpacked(path, archive)
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays


def load_npz(model: nn.Module, path: Path, architecture: str) -> None:
    """Load JAX weights of the AugReg layout through timm's own reader: all of the file into all of the model, at its own size.

    timm's reader passes over what it does not know, and resizes what does not fit. So it is watched: which arrays it reads,
    which parameters it leaves, and how many numbers there are on both sides.

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
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(torch.nan)
    loader: Any = model.load_pretrained
    try:
        with _WatchedFile(path) as watched:
            loader(watched)
    except Exception as error:  # timm's reader raises anything of arrays that it does not expect
        raise InputError(
            f"{path} is not a checkpoint of {architecture} with these --model-kwargs: {reason(error)}."
        ) from error
    _check_all_went(model, path, architecture, shapes, watched.members())


def _check_all_went(
    model: nn.Module, path: Path, architecture: str, shapes: Mapping[str, tuple[int, ...]], read: set[str]
) -> None:
    unused = [name for name in shapes if name not in read]
    left = [name for name, value in model.named_parameters() if torch.isnan(value).any()]
    faults = [_listed("not used by the network", unused), _listed("not in the file, or NaN", left)]
    if any(faults):
        raise InputError(
            f"{path} is not a checkpoint of {architecture} with these --model-kwargs: {'; '.join(filter(None, faults))}."
        )
    held = sum(int(np.prod(shape)) for shape in shapes.values())
    needed = sum(parameter.numel() for parameter in model.parameters())
    if held != needed:
        raise InputError(
            f"{path} does not fit {architecture} with these --model-kwargs: it holds {held:,} numbers and the network {needed:,}, so "
            "the position embedding or the patches would be resized. State the size that it was trained at, as --model-kwargs img_size=N."
        )


class _WatchedFile(io.FileIO):
    """A zip file that knows which of its members were read: those whose headers someone went to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with zipfile.ZipFile(path) as archive:
            self._starts = {info.header_offset: info.filename.removesuffix(".npy") for info in archive.infolist()}
        self._visited: set[int] = set()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move, and remember where to."""
        place = super().seek(offset, whence)
        self._visited.add(place)
        return place

    def members(self) -> set[str]:
        """The names of the arrays that were read."""
        return {name for start, name in self._starts.items() if start in self._visited}
