"""Lakes of random scores: as many models, detectors and samples as one wants."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import count, product
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.lineage.benchmark import Benchmark
from analysis.metrics import id_rank
from analysis.metrics.table import write_metrics
from analysis.mistakes import Predicted, write_selective
from analysis.mistakes.confidence import calibrated
from benchmarks.lakes.tables import put_dataset, put_rows, put_scores
from featurestore import Lake
from featurestore.layout.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MEASURES = [name for name in TABLES["geometry"].columns.names if name not in {"role", "rows"}]
_ALIKE = {
    "pretrain_epochs": 300.0,
    "pretrain_lr": 0.001,
    "stochastic_depth": 0.0,
    "augmentation": "light1",
    "finetune_dataset": "in1k",
    "finetune_steps": 20_000,
}
RECIPES = [
    _ALIKE | {"weight_decay": decay, "finetune_lr": rate, "dropout": dropout, "pretraining": pretraining}
    for decay, rate, dropout, pretraining in product(
        (0.03, 0.1), (0.01, 0.03), (0.0, 0.1), ("in21k", "in1k", "clip-openai")
    )
]


@dataclass(frozen=True)
class Shape:
    """What a lake holds; the OOD sets by name, each with its classes and samples per class."""

    models: int = 6
    detectors: tuple[str, ...] = ("mahalanobis", "max-logit", "msp")
    id_samples: int = 80
    id_classes: int = 4
    ood: Mapping[str, tuple[tuple[str, ...], int]] = field(
        default_factory=lambda: {
            "far": (("dog", "elk", "fox", "gnu"), 12),
            "unit-tests": (("black", "uni", "white"), 8),
        }
    )
    recipes: bool = True
    accuracy: bool = True
    soup: bool = False
    geometry: bool = True

    @property
    def classes(self) -> dict[str, np.ndarray]:
        """The class of each sample, by dataset that has scores."""
        of_id = np.array([f"class-{i % self.id_classes}" for i in range(self.id_samples)])
        return {"test": of_id, **{name: np.repeat(list(names), count) for name, (names, count) in self.ood.items()}}


def make(folder: Path, shape: Shape, models: Mapping[str, Mapping[str, Any]] | None = None) -> Lake:
    """Write a lake of that shape; its models are those of the shape, or others by name with what their rows say."""
    folder.mkdir(parents=True, exist_ok=True)
    lake, classes = Lake(folder), shape.classes
    datasets = ({"train": classes["test"]} if shape.geometry else {}) | classes
    for name, of_samples in datasets.items():
        role = {"train": "fit", "test": "id"}.get(name, "ood")
        labels = np.arange(len(of_samples)) % shape.id_classes
        put_dataset(lake, name, role, of_samples.tolist(), labels.tolist(), location="/gone")
    rows = _models(shape) if models is None else models
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda number, name: _model(lake, name, rows[name], number, shape), count(), rows))
    return lake


def _models(shape: Shape) -> dict[str, dict[str, Any]]:
    rows = {}
    for number in range(shape.models):
        repeat, recipe = divmod(number, len(RECIPES))
        seed = {"recipe": json.dumps({"seed": repeat})} if repeat else {}
        rows[f"m{number:03d}"] = {"params": 1000 + number} | (RECIPES[recipe] if shape.recipes else {}) | seed
    if shape.soup:
        rows["soup"] = rows["m000"] | {"params": 1000, "soup_of": ["m000", "m001"]}
    return rows


def _model(lake: Lake, name: str, row: Mapping[str, Any], number: int, shape: Shape) -> None:
    generator, classes = np.random.default_rng(number), shape.classes
    put_rows(lake, "models", {"model": name}, {"architecture": "vit", "input_size": 224, "source": name, **row})
    if shape.accuracy:
        accuracy = {"n": 1, "top1": 0.6 + 0.3 * generator.random(), "top5": 1.0}
        put_rows(lake, "accuracy", {"model": name, "dataset": "test"}, accuracy)
    if shape.geometry:
        _geometry(lake, name, shape, generator, clip=str(row.get("pretraining")).startswith("clip"))
    scores: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for detector in shape.detectors:
        apart = 0.5 + 2 * generator.random()
        drawn = {d: generator.normal(apart if d == "test" else 0, 1, len(of)) for d, of in classes.items()}
        ordered = np.sort(drawn["test"])
        for dataset, values in drawn.items():
            scores.setdefault(dataset, {})[detector] = values, id_rank(values, ordered)
    prints = {dataset: put_scores(lake, name, dataset, of) for dataset, of in scores.items()}
    benchmark = Benchmark("main", "train", "test", tuple(shape.ood))
    write_metrics(lake, benchmark, name, prints)
    if shape.accuracy:
        said = _predicted(scores["test"], generator)
        write_selective(lake, benchmark, name, prints, lambda: said)
        put_rows(lake, "calibration", {"model": name, "dataset": "test"}, asdict(calibrated(said)) | {"unlabelled": 0})


def _predicted(scores: Mapping[str, tuple[np.ndarray, np.ndarray]], generator: np.random.Generator) -> Predicted:
    """Predictions that are right more often the higher the rank of a sample is among the ID scores of the detectors."""
    confidence = np.mean([rank for _, rank in scores.values()], axis=0) * 0.8 + 0.2
    right = generator.random(len(confidence)) < confidence
    own = np.where(right, confidence, (1 - confidence) / 3 + 0.01)
    return Predicted(np.arange(len(right)), right, confidence, -np.log(own), (1 - own) ** 2)


def _geometry(lake: Lake, name: str, shape: Shape, generator: np.random.Generator, *, clip: bool) -> None:
    """Random measures, of which CLIP's norms are smaller, and one spans orders of magnitude."""
    for dataset in ("train", *shape.ood):
        is_fit = dataset == "train"
        names = MEASURES if is_fit else ["norm_mean", "norm_sd", "energy_outside"]
        values = {column: generator.random() for column in names}
        values |= {"norm_mean": (0.2 if clip else 1.0) + generator.random() / 10}
        values |= {"condition_within": 10 ** (9 * generator.random())} if is_fit else {}
        key = {"model": name, "dataset": dataset, "fit_dataset": "train"}
        put_rows(lake, "geometry", key, {"role": "fit" if is_fit else "ood", "rows": 80, **values})
