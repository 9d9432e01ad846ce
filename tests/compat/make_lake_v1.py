"""Made `lake_v1` and `golden.json`, once: the frozen lake of format version 1. Kept to show what is in them.

Run it only to freeze a lake of another format version, with another folder: `python -m tests.compat.make_lake_v1 FOLDER`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from analysis.scoring import Selection, score
from benchmarks.lakes import activations, put, put_head, put_rows
from featurestore import Lake
from featurestore.layout.tables import TABLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAGMENT_ROWS = 8
CLASSES = ("ant", "bee", "cat")
DETECTORS = ("mahalanobis", "max-logit", "msp")
QUESTION = "accuracy_vs_unit_test_fpr"


@dataclass(frozen=True)
class Dataset:
    """A dataset: its role, benchmarks and the class names of its samples."""

    role: str
    benchmarks: tuple[str, ...]
    class_names: tuple[str, ...]

    @property
    def labels(self) -> list[int | None]:
        return [CLASSES.index(name) if self.role != "ood" else None for name in self.class_names]


@dataclass(frozen=True)
class Model:
    """A model: width and stored precision of its features, samples that it could not read, recipe."""

    width: int
    dtype: str
    failed: tuple[int, ...]
    recipe: dict[str, Any]


DATASETS = {
    "train": Dataset("fit", ("main",), CLASSES * 7),
    "test": Dataset("id", ("main",), CLASSES * 4),
    "far": Dataset("ood", ("main",), ("dog",) * 5 + ("elk",) * 4),
    "unit-tests": Dataset("ood", ("main", "other"), ("black",) * 3 + ("uni",) * 3),
}
MODELS = {
    "clip-b32": Model(
        7, "float32", (), {"pretraining": "clip-openai", "soup_of": ["clip-1", "clip-2"], "finetune_lr": 3e-5}
    ),
    "vit-b16": Model(5, "float16", (2,), {"pretraining": "in21k", "weight_decay": 0.1, "recipe": '{"note": "ü"}'}),
}


def make_dataset(lake: Lake, name: str, dataset: Dataset) -> None:
    samples = [
        {"sample": n, "path": f"{kind}/{n:03d}.png", "bytes": 100 + n, "label": label, "class_name": kind}
        for n, (kind, label) in enumerate(zip(dataset.class_names, dataset.labels, strict=True))
    ]
    row = {"role": dataset.role, "benchmarks": list(dataset.benchmarks), "samples": len(samples)}
    row |= {
        "classes": len(set(dataset.class_names)),
        "digest": "d" * 64,
        "format": "folder",
        "location": f"/data/{name}",
    }
    put_rows(lake, "samples", {"dataset": name}, *samples, ingredients={"digest": row["digest"]})
    # Written twice: the second commit is version 2, and the first one's fragment is named by no current manifest.
    for benchmarks in ([], row["benchmarks"]):
        put_rows(lake, "datasets", {"dataset": name}, row | {"benchmarks": benchmarks}, replacing=True)


def make_model(lake: Lake, name: str, model: Model, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
    row = {"architecture": "vit_tiny", "params": 12_345, "feature_dim": model.width, "num_classes": len(CLASSES)}
    row |= {"input_size": 224, "source": f"{name}.safetensors", "weights_sha256": "a" * 64, **model.recipe}
    row |= {"model_kwargs": "{}", "preprocessing": "{}"}
    put_rows(lake, "models", {"model": name}, row)
    put_head(lake, name, weight, bias)


def make_activations(
    lake: Lake,
    name: str,
    dataset: str,
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    generator: np.random.Generator,
) -> None:
    model, labels = MODELS[name], DATASETS[dataset].labels
    key = {"model": name, "dataset": dataset}
    failed = [sample for sample in model.failed if dataset == "far"]
    errors = [{"sample": n, "path": f"dog/{n:03d}.png", "error": "truncated image"} for n in failed]
    told = {"dtype": model.dtype}
    put(lake, "failures", key, pa.Table.from_pylist(errors, TABLES["failures"].columns), told)
    fragments = []
    for start in range(0, len(labels), FRAGMENT_ROWS):
        samples = np.array([n for n in range(start, min(start + FRAGMENT_ROWS, len(labels))) if n not in failed])
        centres = np.array([3.0 * (labels[n] or 0) if labels[n] is not None else 9.0 for n in samples])
        feature = (centres[:, None] + generator.normal(size=(len(samples), model.width))).astype(model.dtype)
        logits = feature.astype(np.float32) @ weight.T + bias
        label = [labels[n] for n in samples]
        fragments.append(activations(samples, label, feature, logits, model.dtype))
    put(lake, "activations", key, fragments, told | {"fragment_rows": FRAGMENT_ROWS})


def golden(lake: Lake) -> dict[str, Any]:
    """All rows of all tables, in the order of their paths, and the answer to one question."""
    tables = {name: lake.scan(name).collect().to_dicts() for name in TABLES}
    answer = lake.ask(QUESTION)
    return {"tables": tables, "question": [dict(zip(answer.columns, row, strict=True)) for row in answer.fetchall()]}


def main(folder: Path) -> None:
    lake = Lake(folder)
    generator = np.random.default_rng(0)
    for name, dataset in DATASETS.items():
        make_dataset(lake, name, dataset)
    for name, model in MODELS.items():
        weight = generator.normal(size=(len(CLASSES), model.width)).astype(np.float32)
        bias = generator.normal(size=len(CLASSES)).astype(np.float32)
        make_model(lake, name, model, weight, bias)
        for dataset in DATASETS:
            make_activations(lake, name, dataset, weight, bias, generator)
    score(lake, Selection(detectors=DETECTORS, benchmark="main"), print)
    text = json.dumps(golden(lake), indent=None, ensure_ascii=False).replace("}, {", "},\n{")
    (folder.parent / "golden.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
