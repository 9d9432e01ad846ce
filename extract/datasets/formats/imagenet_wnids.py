"""ImageNet's 1,000 wnids and their indices, from the list that comes with timm; and the wnids that end images' names."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_AT_THE_END = re.compile(r"_(n\d{8})\.[A-Za-z]+")
_LIST = Path("data", "_info", "imagenet_synsets.txt")


@cache
def imagenet_indices() -> Mapping[str, int]:
    """The index of each wnid in the heads of ImageNet-1K models: its place in lexical order.

    Raises:
        ModuleNotFoundError: timm is not installed; it is not imported.
    """
    spec = find_spec("timm")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'timm'", name="timm")
    wnids = (Path(spec.origin).parent / _LIST).read_text(encoding="utf-8").split()
    return {wnid: index for index, wnid in enumerate(sorted(wnids))}


def wnids_in_names(names: Iterable[str]) -> list[str | None]:
    """The wnid that ends each image's name, as in `ILSVRC2012_val_00000001_n01751748.JPEG`; None where none does."""
    matches = [_AT_THE_END.search(name) for name in names]
    return [match[1] if match and match.end() == len(match.string) else None for match in matches]


def index_of_wnids(location: str, wnids: Sequence[str]) -> dict[str, int]:
    """The index of each wnid.

    Raises:
        InputError: One is not of ImageNet-1K.
    """
    known = imagenet_indices()
    strangers = sorted(set(wnids) - known.keys())
    if strangers:
        raise InputError(
            f"{location} has images of {strangers[0]}, which is not one of ImageNet's 1,000 wnids ({len(strangers):,} are not): "
            "give the classes' labels with --labels."
        )
    return {wnid: known[wnid] for wnid in sorted(set(wnids))}


def wnids_note(location: str, wnids: Sequence[str]) -> str:
    """What is said of labels that come from names."""
    return f"{location}: the images' names hold the wnids of {len(set(wnids)):,} classes; labels are ImageNet's indices of these"
