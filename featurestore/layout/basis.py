"""What stored numbers rest on, noted beside them: so that answers know their age without a look at every activation.

The note determines nothing, and is no ingredient: it repeats, in short, what the activations' manifests say.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from featurestore.layout.fingerprint import Ingredients
    from featurestore.layout.manifest import Manifest, Part

NAME = "basis"
"""Its name among a part's details."""
_LETTERS = 16
_NETWORK = ("weights_sha256", "architecture", "model_kwargs", "preprocessing", "feature", "head_sha256", "head_input")
"""Ingredients that activations share with their model's row, and that another network, or another use of it, changes."""


class Basis(TypedDict):
    """What a part rests on; all names of fingerprints and digests are their first letters.

    Attributes:
        samples: What the samples of each dataset were.
        rows: How many of them could be read.
        networks: What made the activations of each model.
        activations: The fingerprints of all activations.
    """

    samples: dict[str, str]
    rows: dict[str, int]
    networks: dict[str, str]
    activations: list[str]


_NAMES = frozenset(Basis.__annotations__)


def basis_of(model: str, activations: Mapping[str, Part]) -> Basis:
    """What numbers made of a model's activations rest on.

    Args:
        model: The model.
        activations: The activations, by dataset.
    """
    parts = dict(sorted(activations.items()))
    digests = {name: part.ingredients.get("dataset_digest") for name, part in parts.items()}
    made = {network(part.ingredients) for part in parts.values()} - {""}
    return Basis(
        samples={name: short(digest) for name, digest in digests.items() if isinstance(digest, str)},
        rows={name: part.rows for name, part in parts.items()},
        networks={model: made.pop()} if len(made) == 1 else {},
        activations=sorted({short(part.fingerprint) for part in parts.values()}),
    )


def joined(bases: Iterable[Basis]) -> Basis:
    """What numbers rest on that are made from activations of several models; of differing numbers of samples, the lowest."""
    whole = Basis(samples={}, rows={}, networks={}, activations=[])
    for one in bases:
        whole["samples"].update(one["samples"])
        whole["rows"].update({name: min(n, whole["rows"].get(name, n)) for name, n in one["rows"].items()})
        whole["networks"].update(one["networks"])
        whole["activations"] = sorted({*whole["activations"], *one["activations"]})
    return whole


def noted(part: Part) -> Basis | None:
    """What a part says that it rests on; None if it is from before there were such notes."""
    found: Any = part.details.get(NAME)
    known = isinstance(found, dict) and found.keys() >= _NAMES
    return cast("Basis", found) if known else None


def compared(manifest: Manifest) -> Manifest:
    """The manifest with `noting` filled in: which of its parts note the same, as detectors that learn from the same datasets do.

    Equal notes are then judged once.
    """
    if len(manifest.parts) < 2:
        return manifest
    first: dict[tuple[str, ...], int] = {}
    noting = []
    for number, part in enumerate(manifest.parts):
        note = part.details.get(NAME)
        activations = note.get("activations") if isinstance(note, dict) else None
        # Their fingerprints determine all else of it.
        told = tuple(activations) if isinstance(activations, list) else ()
        noting.append(first.setdefault(told, number) if told else number)
    return replace(manifest, noting=tuple(noting))


def network(ingredients: Ingredients) -> str:
    """What made activations, from their ingredients or from their model's row; empty if they do not say."""
    if not isinstance(ingredients.get("weights_sha256"), str):
        return ""
    told = json.dumps([ingredients.get(name) for name in _NETWORK])
    return short(hashlib.sha256(told.encode()).hexdigest())


def same_network(one: Ingredients, other: Ingredients) -> bool:
    """Whether ingredients say that the same made activations; costs less than `network` of both."""
    return all(one.get(name) == other.get(name) for name in _NETWORK)


def short(digest: str) -> str:
    """The first letters of a fingerprint or digest, which tell it from all others of a lake."""
    return digest[:_LETTERS]
