"""Tiny images, and a tiny real network for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

ARCHITECTURE = "vit_tiny_patch16_224"
KWARGS = {"img_size": 32, "patch_size": 16, "embed_dim": 24, "depth": 1, "num_heads": 2, "num_classes": 3}


def write_images(root: Path, classes: dict[str, int], seed: int = 0, size: int = 32) -> Path:
    """Noise around a mean colour per class: something that a network can tell apart."""
    generator = np.random.default_rng(seed)
    for number, (name, count) in enumerate(classes.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = np.clip(generator.normal(40 + 60 * number, 40, (size, size, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index:03d}.png")
    return root


def tiny_vit(seed: int = 0, **overrides: Any) -> Any:
    import timm  # slow to import, as torch is
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return timm.create_model(ARCHITECTURE, pretrained=False, **{**KWARGS, **overrides}).eval()
