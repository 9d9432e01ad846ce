"""The two halves of the preprocessing together are timm's own, bit for bit; workers hand over bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform
from torchvision import transforms

from extract.datasets import FileReader
from extract.images.loader import ImageDataset, image_batches
from extract.images.preprocessing import in_two
from tests.extract.conftest import tiny_spec
from tests.tiny import write_images

if TYPE_CHECKING:
    from pathlib import Path

CLIP = {"mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711)}
CONFIGS: list[dict[str, Any]] = [
    {"input_size": (3, 32, 32), "interpolation": "bicubic", "crop_pct": 0.9, "mean": (0.5,) * 3, "std": (0.5,) * 3},
    {"input_size": (3, 32, 32), "interpolation": "bilinear", "crop_pct": 0.875},
    {"input_size": (3, 24, 40), "interpolation": "bicubic", "crop_pct": 1.0, **CLIP},
    {"input_size": (3, 32, 32), "interpolation": "bicubic", "crop_pct": 1.0, "crop_mode": "squash", **CLIP},
    {"input_size": (3, 32, 32), "interpolation": "bicubic", "crop_pct": 0.95, "crop_mode": "border"},
]


@pytest.mark.parametrize("config", CONFIGS)
def test_the_halves_give_what_timm_s_transform_gives(config: dict[str, Any]) -> None:
    generator = np.random.default_rng(0)
    shapes = ((50, 70), (33, 120), (200, 40), (5, 7))
    images = [Image.fromarray(generator.integers(0, 256, (*shape, 3), dtype=np.uint8)) for shape in shapes]
    whole = create_transform(**config, is_training=False)
    halves = in_two(whole)
    bytes_ = torch.stack([halves.of_image(image) for image in images])
    assert bytes_.dtype == torch.uint8
    assert torch.equal(halves.of_batch(bytes_), torch.stack([whole(image) for image in images]))


@pytest.mark.parametrize("steps", [[transforms.ToTensor()], [transforms.PILToTensor()], []])
def test_a_transform_that_ends_in_another_way_stays_whole(steps: list[Any]) -> None:
    """Whatever comes out of it as float32 goes to the network as it is."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))
    whole = transforms.Compose(
        [*steps, transforms.Lambda(lambda given: torch.as_tensor(given if steps else np.array(given)).float())]
    )
    halves = in_two(whole)
    assert halves.of_image is whole
    assert torch.equal(halves.of_batch(halves.of_image(image)[None]), whole(image)[None])


def test_workers_hand_over_bytes(tmp_path: Path, checkpoint: Path) -> None:
    """The queue between processes carries a quarter of what float32 would be."""
    root = write_images(tmp_path / "images", {"ant": 3})
    transform = tiny_spec(checkpoint).preparation().of_image
    paths = sorted(str(path.relative_to(root)) for path in root.rglob("*.png"))
    (batch,) = image_batches(ImageDataset(FileReader(root), paths, {"": transform}), [range(3)], workers=1, pin=False)
    assert (batch.only.images.dtype, tuple(batch.only.images.shape)) == (torch.uint8, (3, 3, 32, 32))
