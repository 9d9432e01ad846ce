"""The two stages of a recipe: pretraining on all ten digits, shared by the recipes that agree on it, and finetuning."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from extract.demo.loop import Samples, Schedule, create_model, reproducible, train
from extract.demo.recipes import PRETRAIN_LR, Recipe

Weights = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Trainer:
    """Trains recipes on given images.

    Attributes:
        pretrain: All ten digits.
        fit: The in-distribution digits.
        backbones: Pretrained weights by what they depend on, filled as recipes ask for them.
    """

    pretrain: Samples
    fit: Samples
    backbones: dict[tuple[Schedule, float], Weights] = field(default_factory=dict)

    def train(self, recipe: Recipe) -> nn.Module:
        """A model trained from its random or pretrained start; the same one every time."""
        start = self._backbone(recipe) if recipe.pretraining == "digits10" else {}
        schedule = Schedule(recipe.finetune_epochs, recipe.finetune_lr, recipe.weight_decay)
        return _trained(self.fit, schedule, recipe.dropout, start)

    def _backbone(self, recipe: Recipe) -> Weights:
        key = Schedule(recipe.pretrain_epochs, PRETRAIN_LR, recipe.weight_decay), recipe.dropout
        if key not in self.backbones:
            model = _trained(self.pretrain, *key, start={})
            self.backbones[key] = {
                name: tensor for name, tensor in model.state_dict().items() if not name.startswith("head.")
            }
        return self.backbones[key]


def _trained(samples: Samples, schedule: Schedule, dropout: float, start: Weights) -> nn.Module:
    with reproducible():
        model = create_model(samples.classes, dropout)
        model.load_state_dict(model.state_dict() | start)
        train(model, samples, schedule)
    return model
