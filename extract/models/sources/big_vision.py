"""Image towers of big_vision's `.npz` files, such as SigLIP's: JAX arrays below `params/img/`, beside those of a text tower."""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from extract.models.files import ARRAYS, Note, StoredWeights
from extract.models.sources.architecture import create
from extract.models.sources.checkpoints import load_state, plain_arrays
from extract.models.sources.source import Facts, Weights, WeightsSource
from extract.models.sources.trained_size import trained_size
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor, nn

_TOWER = "params/img/"
_POSITIONS = f"{_TOWER}pos_embedding"
_MARK = f"{_TOWER}embedding/kernel"
_TEXT_TOWER = re.compile(r"params/(txt/.*|t|b)")
_ATTENTION, _MLP, _POOL = "MultiHeadDotProductAttention_0/", "MlpBlock_0/", "MAPHead_0/"
_PLAIN = {
    "embedding/bias": "patch_embed.proj.bias",
    "pos_embedding": "pos_embed",
    "cls": "cls_token",
    "Transformer/encoder_norm/scale": "norm.weight",
    "Transformer/encoder_norm/bias": "norm.bias",
    f"{_POOL}probe": "attn_pool.latent",
}
_BLOCK = re.compile(r"Transformer/encoderblock(_\d+)?/")


def read_tower(path: Path) -> dict[str, Tensor]:
    """The image tower of a file, under timm's names.

    Raises:
        InputError: The file cannot be read, or its arrays are no numbers.
    """
    with plain_arrays(path) as arrays:
        known = {name: arrays[name] for name in arrays.files if not _TEXT_TOWER.fullmatch(name)}
    odd = [name for name, value in known.items() if value.dtype.kind != "f"]
    if odd:
        raise InputError(f"{path} holds {odd[0]} as {known[odd[0]].dtype}: save it as float32.")
    inner = {name.removeprefix(_TOWER): value for name, value in known.items()}
    flat = dict(_unstacked(inner))
    return {name: torch.from_numpy(np.ascontiguousarray(value)).float() for name, value in _named(flat)}


def _unstacked(arrays: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
    """All blocks as arrays of their own: a scan over blocks stores them in one, along its first axis."""
    for name, value in arrays.items():
        block = _BLOCK.match(name)
        if block is None or block[1]:
            yield name, value
        else:
            rest = name[block.end() :]
            yield from ((f"Transformer/encoderblock_{number}/{rest}", one) for number, one in enumerate(value))


def _named(arrays: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Arrays under timm's names; what has no name there keeps its own."""
    for name, value in arrays.items():
        if name == "embedding/kernel":
            yield "patch_embed.proj.weight", value.transpose(3, 2, 0, 1)
        elif name in _PLAIN:
            yield _PLAIN[name], value
        elif _ATTENTION in name:
            stem, _, part = name.rpartition(_ATTENTION)
            yield from _attention(arrays, stem, part, _place(stem))
        else:
            stem, _, part = name.partition("LayerNorm_" if "LayerNorm_" in name else _MLP)
            yield _norm_or_mlp(name, stem, part, value)


def _attention(
    arrays: Mapping[str, NDArray[Any]], stem: str, part: str, place: str
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Weights of an attention; queries, keys and values are one array in a block, keys and values in the pool."""
    own = "attn." if stem.startswith("Transformer") else ""
    which, _, kind = part.partition("/")
    fused = ("query", "key", "value") if own else ("key", "value")
    ending = "weight" if kind == "kernel" else "bias"

    def rows(of: str) -> NDArray[Any]:
        value = arrays.get(f"{stem}{_ATTENTION}{of}/{kind}")
        if value is None:
            raise InputError(f"The checkpoint has {stem}{_ATTENTION}{part}, and lacks {of} beside it.")
        return value.reshape(value.shape[0], -1).T if kind == "kernel" else value.reshape(-1)

    if which == "out":
        value = arrays[f"{stem}{_ATTENTION}{part}"]
        yield f"{place}{own}proj.{ending}", value.reshape(-1, value.shape[-1]).T if kind == "kernel" else value
    elif which == "query" and not own:
        yield f"{place}q.{ending}", rows("query")
    elif which == fused[0]:
        yield f"{place}{own}{'qkv' if own else 'kv'}.{ending}", np.concatenate([rows(of) for of in fused])


def _norm_or_mlp(name: str, stem: str, part: str, value: NDArray[Any]) -> tuple[str, NDArray[Any]]:
    place, (number, _, kind) = _place(stem), part.removeprefix("Dense_").partition("/")
    if not place or number not in {"0", "1"}:
        return name, value
    if "LayerNorm_" in name:
        norm = "norm" if stem == _POOL else f"norm{int(number) + 1}"
        return f"{place}{norm}.{'weight' if kind == 'scale' else 'bias'}", value
    layer = f"{place}mlp.fc{int(number) + 1}"
    return (f"{layer}.weight", value.T) if kind == "kernel" else (f"{layer}.bias", value)


def _place(stem: str) -> str:
    block = _BLOCK.match(stem)
    return f"blocks.{block[1].removeprefix('_')}." if block and block[1] else "attn_pool." if stem == _POOL else ""


def _recognise(stored: StoredWeights) -> bool:
    if stored.kind != ARRAYS:
        return False
    with zipfile.ZipFile(stored.path) as archive:
        return f"{_MARK}.npy" in archive.namelist()


def _told(weights: Weights) -> Facts:
    """The text tower that is left out, and that there is no head."""
    path = weights.weights_file
    name = path.name
    with plain_arrays(path) as arrays:
        positions = arrays[_POSITIONS].shape if _POSITIONS in arrays.files else None
    size = trained_size(weights, {"pos_embed": positions}) if positions else Facts()
    layout = Note("layout", "the image tower of big_vision; its text tower is not used", name)
    with torch.device("meta"):
        classes = getattr(create(weights), "num_classes", 0)
    if not classes or "num_classes" in weights.model_kwargs:
        return replace(size, notes=(layout, *size.notes))
    head = Note("head", "none, as num_classes=0", f"{name} holds no array of a head; give one with --head")
    return replace(size, model_kwargs={**size.model_kwargs, "num_classes": 0}, notes=(layout, *size.notes, head))


def _load(weights: Weights) -> nn.Module:
    module, path = create(weights), weights.weights_file
    load_state(module, read_tower(path), path, weights.architecture)
    return module


SOURCE = WeightsSource("big-vision", recognise=_recognise, build=create, load=_load, told=_told)
