"""What the ingredients of metrics, and of selective prediction, say of the scores that they judge: a digest for each dataset."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

JUDGING = ("metrics", "selective")
"""The tables that judge scores: a partition of each holds all that is said of one model in one benchmark."""
_SCORES_OF = "scores of "
SHIFTED = "csid"
"""The ingredient that lists the datasets that are ID, too, in the full spectrum; metrics without such have none."""


def ingredient_name(dataset: str) -> str:
    """The ingredient that stands for the scores of a dataset."""
    return f"{_SCORES_OF}{dataset}"


def judged_dataset(ingredient: str) -> str | None:
    """The dataset whose scores an ingredient stands for; None if it stands for something else."""
    return ingredient.removeprefix(_SCORES_OF) if ingredient.startswith(_SCORES_OF) else None


def scores_digest(fingerprints: Mapping[str, str]) -> str:
    """The ingredient's value: one digest of the fingerprints of scores, by detector."""
    return hashlib.sha256(json.dumps(dict(fingerprints), sort_keys=True).encode()).hexdigest()
