"""Pools of models whose effects are known: the paper's, and small ones."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.query import described
from extract.pools.vit_ood_2024 import entries

if TYPE_CHECKING:
    from collections.abc import Mapping

SIZES = (3, 5, 8, 16, 296)
ADVICE = {"pretraining": {"in21k": -0.04}, "weight_decay": {0.1: -0.03}, "finetune_lr": {0.03: 0.02}}
EFFECTS: Mapping[str, Mapping[Any, float]] = ADVICE | {
    "augmentation": {"none": 0.02, "strong2": -0.02},
    "input_size": {384: 0.02},
    "dropout": {0.1: 0.02},
}
"""What a value of an ingredient adds to the FPR where there are effects."""
TOGETHER = {"pretraining": "in21k", "weight_decay": 0.1}, -0.03
"""Values that add to the FPR only where they meet, and what."""
_WHOLE = {
    "architecture": "vit_base_patch16", "model_kwargs": "{}", "input_size": 224, "pretraining": "in1k", "pretrain_epochs": 300.0,
    "pretrain_lr": 0.001, "weight_decay": 0.03, "dropout": 0.0, "stochastic_depth": 0.0, "augmentation": "light1",
    "finetune_dataset": "in1k", "finetune_lr": 0.01, "finetune_steps": 20_000, "source": "simulated",
}  # fmt: skip
_SMALL = {
    "augmentation": ("light1", "strong2"),
    "pretraining": ("in1k", "in21k"),
    "weight_decay": (0.03, 0.1),
    "finetune_lr": (0.01, 0.03),
}


@dataclass(frozen=True, slots=True)
class Design:
    """A pool of models.

    Attributes:
        models: Rows of the table `models`.
        checkpoints: Of each model the number of the checkpoint that it was finetuned from, int (models,).
    """

    models: list[dict[str, Any]]
    checkpoints: np.ndarray

    @property
    def effects(self) -> np.ndarray:
        """What the recipe of each model adds to its FPR where there are effects, float (models,)."""
        values, more = TOGETHER
        return np.array(
            [
                sum(of.get(row.get(name), 0.0) for name, of in EFFECTS.items())
                + (more if all(row.get(name) == value for name, value in values.items()) else 0.0)
                for row in self.models
            ]
        )

    @property
    def groups(self) -> np.ndarray:
        """Of each model the number of its pretraining, int (models,)."""
        names = [row["pretraining"] for row in self.models]
        return np.array([sorted(set(names)).index(name) for name in names])


def design(models: int) -> Design:
    """The paper's pool for 296 models, else the first of a factorial of four ingredients.

    Args:
        models: How many: 296, or up to 16.
    """
    rows = _paper() if models == SIZES[-1] else _small(models)
    keys = [_checkpoint(row) for row in rows]
    return Design(rows, np.array([sorted(set(keys)).index(key) for key in keys]))


def _paper() -> list[dict[str, Any]]:
    """As the pool that ships; all finetunes of CLIP come from one checkpoint."""
    return [{"model": entry.name, "source": "simulated", **described(entry)} for entry in entries()]


def _small(models: int) -> list[dict[str, Any]]:
    products = itertools.islice(itertools.product(*_SMALL.values()), models)
    return [
        {"model": f"m{number:02d}"} | _WHOLE | dict(zip(_SMALL, values, strict=True))
        for number, values in enumerate(products)
    ]


def _checkpoint(row: Mapping[str, Any]) -> str:
    """All that AugReg's checkpoints differ in; the name, where there is one."""
    told = [row.get(name) for name in ("pretraining", "augmentation", "weight_decay", "dropout")]
    return str(row.get("checkpoint_id") or told)
