"""Train the demo's pool: one checkpoint per recipe and the `pool.csv` that lists them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from extract.demo.folders import LabelledFiles, read_folder
from extract.demo.recipes import ARCHITECTURE, MODEL_KWARGS, POOL, PRETRAIN_LR, Recipe, pool_row
from featurestore.staging import write_whole

if TYPE_CHECKING:
    from pathlib import Path

TRAINING_VERSION = 1
"""Part of every digest: raise it when the training code changes the weights."""

Report = Callable[[str], None]


def train_pool(
    pretrain: Path, fit: Path, out: Path, report: Report | None = None, *, id_test: Path | None = None
) -> Path:
    """Train every model of the demo's pool that is not there yet.

    Args:
        pretrain: Image folder of all ten digits, for the recipes that start from it.
        fit: Image folder of the in-distribution digits.
        out: The folder that gets `MODEL.safetensors` and, at the end, `pool.csv`; created if missing.
        report: Gets one sentence per model.
        id_test: Image folder of in-distribution digits to report accuracies on; without it, none are reported.

    Returns:
        The path of `pool.csv`.

    Raises:
        InputError: If a folder has no images.
    """
    return train_recipes(POOL, pretrain, fit, out, report, id_test=id_test)


def train_recipes(
    recipes: Sequence[Recipe],
    pretrain: Path,
    fit: Path,
    out: Path,
    report: Report | None = None,
    *,
    id_test: Path | None = None,
) -> Path:
    """Train the models of some recipes; see `train_pool`."""
    out.mkdir(parents=True, exist_ok=True)
    say = report or (lambda _: None)
    files = _Files(read_folder(pretrain), read_folder(fit), read_folder(id_test) if id_test else None)
    missing = []
    for recipe in recipes:
        if _stored_digest(out / recipe.checkpoint) == files.recipe_digest(recipe):
            say(f"{recipe.name}: reused")
        else:
            missing.append(recipe)
    if missing:
        _train_missing(missing, files, out, say)
    return _write_pool(recipes, out)


@dataclass(frozen=True, slots=True)
class _Files:
    pretrain: LabelledFiles
    fit: LabelledFiles
    id_test: LabelledFiles | None

    def recipe_digest(self, recipe: Recipe) -> str:
        """sha256 over everything on which the weights depend, the versions of the libraries excepted."""
        ingredients = {
            "version": TRAINING_VERSION,
            "architecture": ARCHITECTURE,
            "model_kwargs": MODEL_KWARGS,
            "recipe": asdict(recipe),
            "pretrain_lr": PRETRAIN_LR,
            "pretrain": self.pretrain.digest,
            "fit": self.fit.digest,
        }
        return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()


def _stored_digest(checkpoint: Path) -> str | None:
    try:
        with safe_open(checkpoint, framework="numpy") as tensors:
            return (tensors.metadata() or {}).get("recipe_digest")
    except (FileNotFoundError, SafetensorError):
        return None


def _train_missing(recipes: Sequence[Recipe], files: _Files, out: Path, say: Report) -> None:
    from safetensors.torch import save

    from extract.demo.loop import accuracy, load_samples
    from extract.demo.stages import Trainer

    trainer = Trainer(load_samples(files.pretrain), load_samples(files.fit))
    id_test = load_samples(files.id_test) if files.id_test else None
    for recipe in recipes:
        started = time.monotonic()
        model = trainer.train(recipe)
        metadata = {"recipe_digest": files.recipe_digest(recipe)}
        write_whole(out / recipe.checkpoint, save(model.state_dict(), metadata), scratch=out)
        scored = f", accuracy {accuracy(model, id_test):.1%}" if id_test else ""
        say(f"{recipe.name}: trained in {time.monotonic() - started:.1f} s{scored}")


def _write_pool(recipes: Sequence[Recipe], out: Path) -> Path:
    rows = [pool_row(recipe) for recipe in recipes]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path = out / "pool.csv"
    write_whole(path, text.getvalue().encode(), scratch=out)
    return path
