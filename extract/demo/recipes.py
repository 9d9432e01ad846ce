"""The demo's pool as data: every combination of two values for each of four ingredients, so that each has its pairs."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Literal

ARCHITECTURE = "vit_tiny_patch16_224"
MODEL_KWARGS: dict[str, int | float] = {
    "img_size": 32,
    "patch_size": 8,
    "embed_dim": 64,
    "depth": 2,
    "num_heads": 2,
    "mlp_ratio": 2.0,
    "num_classes": 7,
}
PRETRAIN_LR = 3e-3
PRETRAIN_EPOCHS = 12
FINETUNE_EPOCHS = 8

Pretraining = Literal["scratch", "digits10"]
ON_ALL_DIGITS: Pretraining = "digits10"
PRETRAININGS: tuple[Pretraining, ...] = ("scratch", ON_ALL_DIGITS)
WEIGHT_DECAYS = (0.01, 1.0)
DROPOUTS = (0.0, 0.1)
FINETUNE_LRS = (2e-3, 5e-3)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one model of the pool is trained.

    Attributes:
        pretraining: `digits10` starts from weights trained on all ten digits, `scratch` from random ones.
        weight_decay: AdamW's decoupled weight decay, in pretraining and finetuning.
        dropout: Dropout of the embedded patches and of the penultimate feature, in pretraining and finetuning.
        finetune_lr: Peak learning rate on the seven in-distribution digits.
        finetune_epochs: Passes over the seven in-distribution digits.
        pretrain_epochs: Passes over all ten digits, unused by `scratch`.
    """

    pretraining: Pretraining
    weight_decay: float
    dropout: float
    finetune_lr: float
    finetune_epochs: int = FINETUNE_EPOCHS
    pretrain_epochs: int = PRETRAIN_EPOCHS

    @property
    def name(self) -> str:
        """The model's name, a slug that spells out what differs within the pool.

        >>> Recipe("scratch", weight_decay=0.01, dropout=0.0, finetune_lr=2e-3).name
        'vit-scratch-wd0.01-lr2e-3-do0.0'
        """
        rate = f"{self.finetune_lr:.0e}".replace("e-0", "e-")
        return f"vit-{self.pretraining}-wd{self.weight_decay:g}-lr{rate}-do{self.dropout:.1f}"

    @property
    def checkpoint(self) -> str:
        """The file name of the model's weights."""
        return f"{self.name}.safetensors"


PREPROCESS = {
    "input_size": "32",
    "crop_pct": "0.9",
    "crop_mode": "center",
    "interpolation": "bicubic",
    "mean": "0.5",
    "std": "0.5",
}
"""How images are prepared, for training and for extraction."""

POOL: tuple[Recipe, ...] = tuple(
    Recipe(pretraining, weight_decay, dropout, finetune_lr)
    for weight_decay, dropout, pretraining, finetune_lr in itertools.product(
        WEIGHT_DECAYS, DROPOUTS, PRETRAININGS, FINETUNE_LRS
    )
)


def pool_row(recipe: Recipe) -> dict[str, str]:
    """A model's row of `pool.csv`; an empty cell does not apply.

    Args:
        recipe: How the model is trained.

    Returns:
        The cells by column, in the file's order: where the model is, how to build it, and its recipe.
    """
    pretrained = recipe.pretraining != "scratch"
    return {
        "model": recipe.name,
        "checkpoint": recipe.checkpoint,
        "architecture": ARCHITECTURE,
        "model_kwargs": json.dumps(MODEL_KWARGS),
        **PREPROCESS,
        "pretraining": recipe.pretraining,
        "pretrain_epochs": str(recipe.pretrain_epochs) if pretrained else "",
        "pretrain_lr": str(PRETRAIN_LR) if pretrained else "",
        "weight_decay": str(recipe.weight_decay),
        "dropout": str(recipe.dropout),
        "stochastic_depth": "0.0",
        "augmentation": "none",
        "finetune_dataset": "digits7",
        "finetune_lr": str(recipe.finetune_lr),
        "finetune_epochs": str(recipe.finetune_epochs),
    }
