"""The demo's pool: small ViTs trained on images that fit in memory, on one CPU thread, the same weights every time."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import timm
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from extract.datasets import Origin, list_samples
from extract.demo.recipes import ARCHITECTURE, MODEL_KWARGS, POOL, PREPROCESS, PRETRAIN_LR, Recipe, pool_row
from extract.images import read_rgb
from extract.images.preprocess_fields import checked
from extract.models import ModelSpec
from featurestore.staging import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from extract.datasets import Listing

BATCH_SIZE = 64
WARMUP_STEPS = 10
BETAS = (0.9, 0.95)
SEED = 0
TRAINING_VERSION = 1
"""Part of every digest: raise it when the training code changes the weights."""


def train_pool(
    pretrain: Path,
    fit: Path,
    id_test: Path,
    out: Path,
    say: Callable[[str], None],
    *,
    recipes: Sequence[Recipe] = POOL,
) -> Path:
    """Train every model of the demo's pool that is not there yet.

    Args:
        pretrain: Image folder of all ten digits, for the recipes that start from it.
        fit: Image folder of the in-distribution digits.
        id_test: Image folder of in-distribution digits to report accuracies on.
        out: The folder that gets `MODEL.safetensors` and, at the end, `pool.csv`; created if missing.
        say: Gets one sentence per model.
        recipes: The pool.

    Returns:
        The path of `pool.csv`.

    Raises:
        InputError: If a folder has no images.
    """
    out.mkdir(parents=True, exist_ok=True)
    folders = [read_folder(folder) for folder in (pretrain, fit, id_test)]
    missing = {}
    for recipe in recipes:
        digest = _recipe_digest(recipe, pretrain=folders[0].digest, fit=folders[1].digest)
        if _stored_digest(out / recipe.checkpoint) == digest:
            say(f"{recipe.name}: reused")
        else:
            missing[recipe] = digest
    if missing:
        _train_missing(missing, [load_samples(folder) for folder in folders], out, say)
    return _write_pool(recipes, out)


@dataclass(frozen=True, slots=True)
class LabelledFolder:
    """A folder with one subfolder of images per class.

    Attributes:
        folder: Where it is.
        listing: Its images, with labels from 0 in the order of the classes' names.
        digest: sha256 over the names, labels and bytes of the images.
    """

    folder: Path
    listing: Listing
    digest: str


def read_folder(folder: Path) -> LabelledFolder:
    """List the images of what `write_digits` wrote.

    Raises:
        InputError: There are none.
    """
    listing, digest = list_samples(Origin("folder", str(folder)), "id"), hashlib.sha256()
    for path, label in zip(listing.paths, listing.labels, strict=True):
        file = folder / path
        digest.update(f"{label} {file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return LabelledFolder(folder, listing, digest.hexdigest())


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


def load_samples(images: LabelledFolder) -> Samples:
    """Preprocess every image once, the way that the pool states and extraction repeats."""
    listing = images.listing
    stated = {field: checked(field, text, field) for field, text in PREPROCESS.items()}
    transform = ModelSpec("demo", ARCHITECTURE, model_kwargs=MODEL_KWARGS, preprocess=stated).transform()
    pixels = [transform(read_rgb(images.folder / path)) for path in listing.paths]
    return Samples(torch.stack(pixels), torch.tensor(listing.labels), len(listing.label_of_class))


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


def train(model: nn.Module, samples: Samples, schedule: Schedule) -> None:
    """Train a model in place with cross-entropy; run it inside `reproducible`."""
    steps = schedule.epochs * math.ceil(len(samples.labels) / BATCH_SIZE)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=schedule.weight_decay, betas=BETAS, fused=True)
    model.train()
    orders = (torch.randperm(len(samples.labels)) for _ in range(schedule.epochs))
    for step, batch in enumerate(batch for order in orders for batch in torch.split(order, BATCH_SIZE)):
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


def _trainer(pretrain: Samples, fit: Samples) -> Callable[[Recipe], nn.Module]:
    """What trains a recipe's model from its random or pretrained start; the same one every time."""

    @cache
    def backbone(schedule: Schedule, dropout: float) -> dict[str, Tensor]:
        state = _trained(pretrain, schedule, dropout, {}).state_dict()
        return {name: tensor for name, tensor in state.items() if not name.startswith("head.")}

    def train_recipe(recipe: Recipe) -> nn.Module:
        pretraining = Schedule(recipe.pretrain_epochs, PRETRAIN_LR, recipe.weight_decay)
        start = backbone(pretraining, recipe.dropout) if recipe.pretraining == "digits10" else {}
        finetuning = Schedule(recipe.finetune_epochs, recipe.finetune_lr, recipe.weight_decay)
        return _trained(fit, finetuning, recipe.dropout, start)

    return train_recipe


def _trained(samples: Samples, schedule: Schedule, dropout: float, start: dict[str, Tensor]) -> nn.Module:
    """A model of the pool, trained from a start, or where that has no weights from freshly initialised ones.

    timm's default initialisation suits widths of ImageNet models; at width 64 it learns several times slower than the
    Xavier one of the original JAX code.
    """
    shape: dict[str, Any] = MODEL_KWARGS | {"num_classes": samples.classes}
    with reproducible():
        model: nn.Module = timm.create_model(
            ARCHITECTURE, pretrained=False, weight_init="jax", drop_rate=dropout, pos_drop_rate=dropout, **shape
        )
        model.load_state_dict(model.state_dict() | start)
        train(model, samples, schedule)
    return model


def _recipe_digest(recipe: Recipe, *, pretrain: str, fit: str) -> str:
    """sha256 over everything on which the weights depend, the versions of the libraries excepted."""
    ingredients = {
        "version": TRAINING_VERSION,
        "architecture": ARCHITECTURE,
        "model_kwargs": MODEL_KWARGS,
        "recipe": asdict(recipe),
        "pretrain_lr": PRETRAIN_LR,
        "pretrain": pretrain,
        "fit": fit,
    }
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()


def _stored_digest(checkpoint: Path) -> str | None:
    try:
        with safe_open(checkpoint, framework="numpy") as tensors:
            return (tensors.metadata() or {}).get("recipe_digest")
    except (FileNotFoundError, SafetensorError):
        return None


def _train_missing(
    missing: Mapping[Recipe, str], folders: Sequence[Samples], out: Path, say: Callable[[str], None]
) -> None:
    pretrain, fit, id_test = folders
    train_recipe = _trainer(pretrain, fit)
    for recipe, digest in missing.items():
        started = time.monotonic()
        model = train_recipe(recipe)
        content = save(model.state_dict(), {"recipe_digest": digest})
        write_whole(out / recipe.checkpoint, content, scratch=out)
        seconds = time.monotonic() - started
        say(f"{recipe.name}: trained in {seconds:.1f} s, accuracy {accuracy(model, id_test):.1%}")


def _write_pool(recipes: Sequence[Recipe], out: Path) -> Path:
    rows = [pool_row(recipe) for recipe in recipes]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path = out / "pool.csv"
    write_whole(path, text.getvalue().encode(), scratch=out)
    return path
