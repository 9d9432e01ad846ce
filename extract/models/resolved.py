"""The preprocessing that counts: each field with its value, and where that came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from timm.data import resolve_data_config

from extract.images.preprocess_fields import DECODE, FAST, FIELDS, STATED_FIELDS, text_of
from extract.models.files import Note
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

    from extract.models.sources import Weights

STATED = "stated"
"""How the origin of what a user said begins."""
_PUBLISHED = "timm's, of these weights"


@dataclass(frozen=True, slots=True)
class Resolved:
    """Preprocessing, field by field.

    Attributes:
        values: As timm resolves them, in the order of their names; sizes, means and deviations are lists.
        origins: By field, where its value came from.
    """

    values: Mapping[str, Any]
    origins: Mapping[str, str]

    @property
    def _fields(self) -> list[str]:
        return [field for field in STATED_FIELDS if field in self.values]

    @property
    def line(self) -> str:
        """All fields in words, those of one origin together, with the origin behind them."""
        groups: dict[str, list[str]] = {}
        for field in self._fields:
            groups.setdefault(self.origins[field], []).append(f"{field} {text_of(field, self.values[field])}")
        return "; ".join(f"{', '.join(fields)} ({origin})" for origin, fields in groups.items())

    @property
    def notes(self) -> Iterator[Note]:
        """What is worth keeping of it: fields that nobody stated, and that are not timm's own of its own weights."""
        for field in self._fields:
            origin = self.origins[field]
            if origin != _PUBLISHED and not origin.startswith(STATED):
                yield Note(field, text_of(field, self.values[field]), origin)


def resolve(weights: Weights, network: nn.Module) -> Resolved:
    """What is said of preprocessing, and timm's own of the architecture where nothing is.

    Args:
        weights: What is said.
        network: The network, built so.

    Raises:
        InputError: The network takes images of another size than the preprocessing makes.
    """
    config = resolve_data_config({}, model=network, use_test_size=True)
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in sorted(config.items())}
    usual = _PUBLISHED if weights.checkpoint is None else _guess(weights, network)
    origins = {field: weights.preprocess_origins.get(field, usual) for field in FIELDS}
    if "input_size" not in weights.preprocess_origins and "img_size" in weights.model_kwargs:
        origins["input_size"] = "img_size of the network"
    if weights.preprocess.get(DECODE) == FAST:
        values = dict(sorted({**values, DECODE: FAST}.items()))
        origins[DECODE] = weights.preprocess_origins[DECODE]
    _check_size(weights, network, values["input_size"], origins["input_size"])
    return Resolved(values, origins)


def _guess(weights: Weights, network: nn.Module) -> str:
    cfg: Any = getattr(network, "pretrained_cfg", None) or {}
    variant = ".".join(filter(None, (cfg.get("architecture") or weights.architecture, cfg.get("tag"))))
    return f"guessed: timm's own for {variant}; state what it was trained with, as --input-size"


def fixed_size(network: nn.Module) -> tuple[int, int] | None:
    """The only height and width that a network takes; None if it takes several, or does not say."""
    patches = getattr(getattr(network, "visual", network), "patch_embed", None)
    size = getattr(patches, "img_size", None)
    return tuple(size) if size and getattr(patches, "strict_img_size", False) else None


def _check_size(weights: Weights, network: nn.Module, size: list[int], origin: str) -> None:
    fixed = fixed_size(network)
    if fixed is not None and tuple(size[1:]) != fixed:
        made, taken = text_of("input_size", size), text_of("input_size", (3, *fixed))
        raise InputError(
            f"{weights.name} takes images of {taken} pixels, and its preprocessing makes {made} ({origin}): "
            f"give --input-size {taken}, or a network for {made}."
        )
