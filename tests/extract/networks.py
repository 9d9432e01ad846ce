"""Networks of timm at test size: arguments that make each small, and random ones that count as trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import timm
import torch
from safetensors.torch import save_file

from extract.models.devices import layout_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

CLASSES = 5
VIT = {"img_size": 32, "patch_size": 16, "embed_dim": 24, "depth": 1, "num_heads": 2}
VIT_14 = {**VIT, "img_size": 28, "patch_size": 14}
SWIN = {"depths": (1, 1), "num_heads": (1, 2), "embed_dim": 12}
FOUR = {"depths": (1, 1, 1, 1)}
CONVNEXT = {**FOUR, "dims": (8, 8, 16, 16)}
RESNET = {"layers": (1, 1, 1, 1), "channels": (32, 32, 32, 32)}
PYRAMID = {**FOUR, "embed_dims": (8, 8, 16, 16), "num_heads": (1, 1, 1, 1)}
HYBRID = {"depths": (1, 1), "embed_dim": (32, 32), "stem_width": 8}
LEVIT = {"embed_dim": (16, 16, 16), "key_dim": 4, "num_heads": (1, 1, 1), "depth": (1, 1, 1)}
LOADED: dict[str, dict[str, Any]] = {
    "vit_tiny_patch16_224": VIT,
    "deit_tiny_patch16_224": VIT,
    "deit3_small_patch16_224": VIT,
    "beit_base_patch16_224": VIT,
    "beitv2_base_patch16_224": VIT,
    "eva02_tiny_patch14_224": VIT_14,
    "vit_base_patch16_siglip_224": VIT,
    "vit_base_patch16_clip_224": VIT,
    "vit_small_patch14_dinov2": VIT_14,
    "vit_small_patch14_reg4_dinov2": VIT_14,
    "vit_small_patch16_dinov3": VIT,
    "flexivit_small": VIT,
    "swin_tiny_patch4_window7_224": {"img_size": 56, **SWIN},
    "swinv2_tiny_window8_256": {"img_size": 64, **SWIN},
    "swinv2_cr_tiny_224": {"img_size": 64, **SWIN},
    "convnext_atto": CONVNEXT,
    "convnextv2_atto": CONVNEXT,
    "resnet18": RESNET,
    "resnet50": RESNET,
    "resnetv2_50": RESNET,
    "regnety_002": {},
    "efficientnet_b0": {},
    "tf_efficientnet_lite0": {},
    "mobilenetv3_small_050": {},
    "mobilenetv4_conv_small_035": {},
    "gmlp_ti16_224": {"img_size": 32},
    "mixer_s32_224": {"img_size": 64},
    "resmlp_12_224": {"img_size": 32},
    "maxvit_rmlp_pico_rw_256": {**HYBRID, "block_type": ("M", "M")},
    "coatnet_0_224": {**HYBRID, "block_type": ("C", "T")},
    "cait_xxs24_224": {"img_size": 32, "embed_dim": 24, "depth": 1, "num_heads": 2},
    "pit_ti_224": {"base_dims": (8, 8, 8), "depth": (1, 1, 1), "heads": (1, 1, 2)},
    "xcit_nano_12_p16_224": {"embed_dim": 16, "depth": 1, "num_heads": 2},
    "poolformer_s12": {},
    "levit_128s": LEVIT,
    "levit_conv_128s": LEVIT,
    "densenet121": {"growth_rate": 4, "block_config": (1, 1, 1, 1)},
    "vgg11": {"mlp_ratio": 0.01},
    "inception_resnet_v2": {},
    "dm_nfnet_f0": FOUR,
    "ghostnet_050": {},
    "repvgg_a0": {},
    "tiny_vit_5m_224": {**FOUR, "embed_dims": (32, 32, 32, 32), "num_heads": (1, 1, 1, 1)},
    "fastvit_t8": {"layers": (1, 1, 1, 1), "embed_dims": (8, 8, 16, 16)},
    "efficientformerv2_s0": {},
    "mobilevit_xxs": {},
    "crossvit_tiny_240": {"embed_dim": (8, 16), "depth": ((1, 1, 0),), "num_heads": (2, 2)},
    "visformer_tiny": {"init_channels": 8, "embed_dim": 16, "depth": (1, 1, 1), "num_heads": 1, "img_size": 64},
    "twins_pcpvt_small": PYRAMID,
    "hiera_tiny_224": {"embed_dim": 8, "num_heads": 1, "stages": (1, 1, 1, 1), "img_size": (64, 64)},
    "pvt_v2_b0": {**FOUR, "embed_dims": (8, 16, 20, 32)},
    "nest_tiny": {"img_size": 64},
    "sequencer2d_s": {"layers": (1, 1, 1, 1), "embed_dims": (8, 8, 8, 8), "hidden_sizes": (2, 4, 4, 4)},
    "davit_tiny": PYRAMID,
    "edgenext_xx_small": {},
    "efficientvit_m0": {},
    "shvit_s1": {},
    "dla34": {},
}
NOT_LINEAR = r"logits are not `weight @ feature \+ bias`"
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "deit_tiny_distilled_patch16_224": (VIT, NOT_LINEAR),  # the mean of two heads on two tokens
    "pit_ti_distilled_224": ({"base_dims": (8, 8, 8), "depth": (1, 1, 1), "heads": (1, 1, 2)}, NOT_LINEAR),  # the same
    "volo_d1_224": ({}, NOT_LINEAR),  # half of its logits are the largest of all patches'
    "caformer_s18": ({}, NOT_LINEAR),  # two layers with an activation between them stand behind its feature
}
"""Architectures without one linear head on the penultimate feature, and what is said of them."""


def trained(architecture: str, kwargs: Mapping[str, Any], seed: int = 0) -> Any:
    """A network whose weights are not the first ones, in evaluation mode: no norm is the identity, no bias zero."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = timm.create_model(architecture, **{"num_classes": CLASSES, **kwargs}).eval()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(0.02 * torch.randn(parameter.shape))
    return module.to(memory_format=layout_of(module))


def save_state(path: Path, state: Mapping[str, Tensor]) -> Path:
    save_file({name: value.contiguous().clone() for name, value in state.items()}, path)
    return path
