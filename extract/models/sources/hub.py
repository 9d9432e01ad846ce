"""timm's published weights: from the hub where there is a network, else from its cache on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import timm

from extract.models.sources.architecture import check_known, create
from extract.models.sources.augreg import parse_augreg
from extract.models.sources.source import Facts, Weights, WeightsSource
from featurestore.errors import InputError

if TYPE_CHECKING:
    from torch import nn


def published_facts(architecture: str) -> Facts:
    """The recipe of one of timm's own models, where the name of its file tells it.

    Raises:
        InputError: timm does not know the architecture.
    """
    check_known(architecture)
    cfg = timm.get_pretrained_cfg(architecture)
    name = str(getattr(cfg, "url", None) or "").rpartition("/")[2]
    parsed = parse_augreg(name.removesuffix(".npz"))
    return Facts(recipe=parsed.recipe) if parsed else Facts()


def _load(weights: Weights) -> nn.Module:
    check_known(weights.architecture)
    cfg = timm.get_pretrained_cfg(weights.architecture)
    if cfg is None or not cfg.has_weights:
        raise InputError(
            f"timm publishes no weights of {weights.architecture}: give a checkpoint file as --model, with --architecture."
        )
    classes = weights.model_kwargs.get("num_classes", cfg.num_classes)
    if classes not in {0, cfg.num_classes}:
        raise InputError(
            f"timm's weights of {weights.architecture} have a head of {cfg.num_classes} classes, so num_classes={classes} would "
            "leave the head untrained: leave it out, or set it to 0 and give a head with --head."
        )
    try:
        return create(weights, pretrained=True)
    except InputError:
        raise
    except Exception as error:  # the hub's client raises errors of whichever HTTP library it is built on
        raise InputError(
            f"Cannot get timm's weights of {weights.architecture} ({type(error).__name__}): connect to the network, "
            "fill the hub's cache ($HF_HOME) on a machine that has one, or give a local checkpoint file as --model "
            "with --architecture."
        ) from error


SOURCE = WeightsSource("timm", recognise=lambda _: False, build=create, load=_load)
