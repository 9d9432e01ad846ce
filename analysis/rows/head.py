"""A model's head, as detectors use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.rows.activations import Head
from featurestore.errors import MissingError
from featurestore.layout import head_input
from featurestore.partitions.encoding import to_numpy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from featurestore.lake import Lake
    from featurestore.layout.manifest import Part


def read_head(lake: Lake, model: str, activations: Mapping[str, Part]) -> Head | None:
    """The head of a model; None if the lake holds none.

    Args:
        lake: The lake.
        model: The model.
        activations: The model's activations by dataset, whose ingredients say whether the head normalises.
    """
    try:
        rows = lake.read("heads", model=model)
    except MissingError:
        return None
    normalizes = any(head_input.normalizes(part.ingredients) for part in activations.values())
    weight = to_numpy(rows.column("weight")).astype(np.float64)
    return Head(weight, to_numpy(rows.column("bias")).astype(np.float64), normalizes)
