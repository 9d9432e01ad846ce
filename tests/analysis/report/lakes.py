"""Lakes of random scores, written by the real writer: as many models, detectors and samples as a test wants."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.metrics.id_rank import id_rank
from analysis.studies.geometry import MEASURES
from featurestore import Lake
from tests.analysis.metrics.oracle import judged_by_class
from tests.conftest import write_rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RECIPES = list(product((0.03, 0.1), (0.01, 0.03), (0.0, 0.1), ("in21k", "in1k", "clip-openai")))


@dataclass(frozen=True)
class Shape:
    """What a lake holds; the OOD sets by name, each with its classes and samples per class."""

    models: int = 6
    detectors: tuple[str, ...] = ("mahalanobis", "max-logit", "msp")
    id_samples: int = 80
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


def make(folder: Path, shape: Shape, seed: int = 0) -> Lake:
    """Write a lake of that shape."""
    folder.mkdir(parents=True, exist_ok=True)
    lake, generator = Lake(folder), np.random.default_rng(seed)
    classes = {"test": np.array([f"class-{i % 4}" for i in range(shape.id_samples)])}
    classes |= {name: np.repeat(list(names), count) for name, (names, count) in shape.ood.items()}
    for name, of_samples in classes.items():
        _dataset(lake, name, "id" if name == "test" else "ood", of_samples)
    if shape.geometry:
        _dataset(lake, "train", "fit", classes["test"])
    for number in range(shape.models):
        _model(lake, f"m{number:03d}", number, shape, classes, generator)
    if shape.soup:
        _model(lake, "soup", 0, shape, classes, generator, soup_of=["m000", "m001"])
    return lake


def _dataset(lake: Lake, name: str, role: str, classes: np.ndarray) -> None:
    count = len(classes)
    row = {
        "role": [role],
        "benchmarks": [["main"]],
        "samples": [count],
        "classes": [len(set(classes))],
        "digest": [name],
    }
    write_rows(lake, "datasets", {"dataset": name}, {**row, "format": ["folder"], "location": ["/gone"]})
    labels = [None if role == "ood" else int(text.removeprefix("class-")) for text in classes]
    paths = [f"{text}/{index}.png" for index, text in enumerate(classes)]
    columns = {"sample": list(range(count)), "path": paths, "bytes": [1] * count, "label": labels}
    write_rows(lake, "samples", {"dataset": name}, {**columns, "class_name": classes.tolist()})


def _model(
    lake: Lake, name: str, number: int, shape: Shape, classes: Mapping[str, np.ndarray], generator: np.random.Generator, **more: Any
) -> None:  # fmt: skip
    decay, rate, dropout, pretraining = RECIPES[number % len(RECIPES)]
    recipe: dict[str, Any] = {
        "pretraining": pretraining,
        "weight_decay": decay,
        "finetune_lr": rate,
        "dropout": dropout,
    }
    known = (recipe if shape.recipes else {}) | (
        {"recipe": json.dumps({"seed": number // len(RECIPES)})} if number >= len(RECIPES) else {}
    )
    described = {"architecture": "vit", "params": 1000 + number, "input_size": 224, "source": name, **known, **more}
    write_rows(lake, "models", {"model": name}, {key: [value] for key, value in described.items()})
    if shape.accuracy:
        write_rows(
            lake,
            "accuracy",
            {"model": name, "dataset": "test"},
            {"n": [1], "top1": [0.6 + 0.3 * generator.random()], "top5": [1.0]},
        )
    if shape.geometry:
        _geometry(lake, name, number, shape, np.random.default_rng(number))
    rows = []
    for detector in shape.detectors:
        apart = 0.5 + 2 * generator.random()
        scores = {d: generator.normal(apart if d == "test" else 0, 1, len(c)) for d, c in classes.items()}
        ordered = np.sort(scores["test"])
        for dataset, values in scores.items():
            key = {"benchmark": "main", "model": name, "dataset": dataset, "detector": detector}
            write_rows(
                lake,
                "scores",
                key,
                {"sample": list(range(len(values))), "score": values, "id_rank": id_rank(values, ordered)},
            )
            if dataset != "test":
                judged = judged_by_class(scores["test"], values, classes[dataset])
                where = {"detector": detector, "id_dataset": "test", "ood_dataset": dataset}
                rows += [
                    {**where, "ood_class": r.ood_class, "aggregation": r.aggregation, **asdict(r.metrics)}
                    for r in judged
                ]
    write_rows(
        lake, "metrics", {"benchmark": "main", "model": name}, {key: [row[key] for row in rows] for key in rows[0]}
    )


def _geometry(lake: Lake, name: str, number: int, shape: Shape, generator: np.random.Generator) -> None:
    """Random measures, of which CLIP's norms are smaller, and one spans orders of magnitude."""
    shift = 0.2 if RECIPES[number % len(RECIPES)][3].startswith("clip") else 1.0
    for dataset in ("train", *shape.ood):
        names = MEASURES if dataset == "train" else ["norm_mean", "norm_sd", "energy_outside"]
        values = {column: [generator.random()] for column in names}
        values |= {"norm_mean": [shift + generator.random() / 10]}
        if dataset == "train":
            values |= {"condition_within": [10 ** (9 * generator.random())]}
        key = {"model": name, "dataset": dataset, "fit_dataset": "train"}
        role = "fit" if dataset == "train" else "ood"
        write_rows(lake, "geometry", key, {"role": [role], "rows": [80], **values})
