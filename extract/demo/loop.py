"""The training loop: small ViTs on images that fit in memory, on one CPU thread, the same weights every time."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import timm
import torch
from PIL import Image
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform
from torch import Tensor, nn

from extract.demo.recipes import ARCHITECTURE, MODEL_KWARGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extract.demo.folders import LabelledFiles

BATCH_SIZE = 64
WARMUP_STEPS = 10
BETAS = (0.9, 0.95)
SEED = 0


@dataclass(frozen=True, slots=True)
class Samples:
    """Preprocessed images and their labels.

    Attributes:
        images: float32, (n, 3, 32, 32).
        labels: int64, (n,).
        classes: How many classes there are.
    """

    images: Tensor
    labels: Tensor
    classes: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a model's weights move: AdamW with linear warm-up and cosine decay of the learning rate."""

    epochs: int
    peak_lr: float
    weight_decay: float

    def lr(self, step: int, steps: int) -> float:
        """The learning rate of a step, counted from 0."""
        warmup = min(1.0, (step + 1) / WARMUP_STEPS)
        return self.peak_lr * warmup * 0.5 * (1 + math.cos(math.pi * step / steps))


@contextmanager
def reproducible() -> Iterator[None]:
    """Seed torch and hold it to one thread, and leave both as they were.

    More threads gain little on matrices this small, lose a lot where other programs want the cores, and make sums
    depend on the number of cores.
    """
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def load_samples(files: LabelledFiles) -> Samples:
    """Preprocess every image once, the way that timm resolves for the architecture and extraction repeats."""
    with reproducible():
        model = create_model(files.classes)
    config: dict[str, Any] = resolve_data_config({"input_size": (3, 32, 32)}, model=model, use_test_size=True)
    transform = create_transform(**config, is_training=False)
    images = []
    for path in files.paths:
        with Image.open(path) as image:
            images.append(transform(image.convert("RGB")))
    return Samples(torch.stack(images), torch.tensor(files.labels), files.classes)


def create_model(classes: int, dropout: float = 0.0) -> nn.Module:
    """A freshly initialised model of the pool.

    timm's default initialisation suits widths of ImageNet models; at width 64 it learns several times slower than the
    Xavier one of the original JAX code.
    """
    shape: dict[str, Any] = MODEL_KWARGS | {"num_classes": classes}
    model: nn.Module = timm.create_model(
        ARCHITECTURE, pretrained=False, weight_init="jax", drop_rate=dropout, pos_drop_rate=dropout, **shape
    )
    return model


def train(model: nn.Module, samples: Samples, schedule: Schedule) -> None:
    """Train a model in place with cross-entropy; run it inside `reproducible`."""
    steps = schedule.epochs * math.ceil(len(samples.labels) / BATCH_SIZE)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=schedule.weight_decay, betas=BETAS, fused=True)
    model.train()
    for step, batch in enumerate(_batches(len(samples.labels), schedule.epochs)):
        for group in optimizer.param_groups:
            group["lr"] = schedule.lr(step, steps)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(samples.images[batch]), samples.labels[batch])
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.eval()


def accuracy(model: nn.Module, samples: Samples) -> float:
    """The share of samples whose largest logit is that of their label."""
    with torch.inference_mode():
        hits = model(samples.images).argmax(dim=1) == samples.labels
    return float(hits.double().mean())


def _batches(count: int, epochs: int) -> Iterator[Tensor]:
    for _ in range(epochs):
        yield from torch.split(torch.randperm(count), BATCH_SIZE)
