"""A pool of models with metrics, scores, logits and geometry, as rows, and lakes that hold them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.lakes import activations, put, put_dataset, put_rows
from featurestore.layout.tables import TABLES

if TYPE_CHECKING:
    from featurestore import Lake

MEASURES = [name for name in TABLES["geometry"].columns.names if name not in {"role", "rows"}]
ALIKE = {
    "architecture": "vit_small_patch16_224",
    "input_size": 32,
    "pretrain_epochs": 300.0,
    "stochastic_depth": 0.2,
    "augmentation": "light",
    "finetune_dataset": "digits",
    "finetune_steps": 500,
    "soup_of": None,
    "recipe": "{}",
    "model_kwargs": '{"img_size":32}',
}


@dataclass(frozen=True, slots=True)
class Pool:
    """Models with recipe and accuracy, and what the lake holds of them, as rows."""

    models: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    scores: list[dict[str, Any]]
    logits: list[dict[str, Any]]
    geometry: list[dict[str, Any]]
    selective: list[dict[str, Any]]
    calibration: list[dict[str, Any]]

    def of(self, *names: str) -> Pool:
        """The pool of just these models."""
        tables = self.models, self.metrics, self.scores, self.logits, self.geometry, self.selective, self.calibration
        return Pool(*([row for row in rows if row["model"] in names] for rows in tables))

    def levelled(self) -> Pool:
        """The pool with all accuracies and metrics equal: everything is a tie."""
        return Pool(
            [m | {"accuracy": 0.5} for m in self.models],
            [level | interval_of(level) for r in self.metrics for level in (r | {"fpr95": 0.25, "auroc": 0.75},)],
            [r | {"score": 0.5, "id_rank": 0.5} for r in self.scores],
            [r | {"logits": [1.0, 1.0, 1.0]} for r in self.logits],
            [r | {name: 2.0 for name in MEASURES if r[name] is not None} for r in self.geometry],
            [r | {name: 0.5 for name in OF_MISTAKES if r[name] is not None} for r in self.selective],
            [r | {name: 0.5 for name in OF_CONFIDENCE if r[name] is not None} for r in self.calibration],
        )


# Models beside those of models.csv: what they change of `base`; their metrics are drawn.
MORE_MODELS = [
    {"model": "strong", "augmentation": "strong"},
    {"model": "strong-wd", "augmentation": "strong", "weight_decay": 0.1},
    {"model": "large", "input_size": 64},
    {"model": "large-strong", "input_size": 64, "augmentation": "strong"},
    {"model": "b-224", "input_size": 224, "architecture": "vit_base_patch16_224"},
    {"model": "b-384", "input_size": 384, "architecture": "vit_base_patch16_384"},
    {"model": "no-depth", "dropout": 0.0, "stochastic_depth": 0.0},
    {"model": "drop-depth", "dropout": 0.1, "stochastic_depth": 0.1},
    {"model": "soup", "soup_of": ["base", "wd", "gone"], "weight_decay": None},
    {"model": "poor-soup", "soup_of": ["gone"], "weight_decay": None},
    {"model": "published", "pretraining": "published", "source": "timm:resnet50.tv2_in1k", "checkpoint_id": "said"},
    # Once more as `wd`, with another seed; finetuned from a checkpoint of another rate, which is said to be the published one,
    # and whose own weight decay is told apart; and what is not known of a pair alike.
    {"model": "wd-again", "weight_decay": 0.1, "recipe": '{"run": 2, "seed": 7}'},
    {
        "model": "slow",
        "pretraining": "in1k",
        "pretrain_lr": 0.0003,
        "pretrain_weight_decay": 0.1,
        "checkpoint_id": "said",
    },
    {"model": "dark", "dropout": None},
    {"model": "dark-wd", "dropout": None, "weight_decay": 0.1},
    {
        "model": "all-in-one",
        "source": "ensemble",
        "recipe": '{"ensemble_of": ["base/msp", "wd/knn", "gone/knn", "base/gone"], "combine": "mean-rank"}',
    },
    {"model": "deep", "model_kwargs": '{"depth":4,"num_heads":2,"img_size":32}'},
    {"model": "deeper", "model_kwargs": '{"depth":8,"num_heads":2,"img_size":32}'},
]
NO_RECIPE = dict.fromkeys(
    ("architecture", "input_size", "augmentation", "finetune_dataset", "finetune_steps", "model_kwargs", "pretraining"
     , "pretrain_epochs", "weight_decay", "dropout", "finetune_lr", "pretrain_lr", "stochastic_depth")
)  # fmt: skip
DATASETS = {"fit": ("fit", 4), "id": ("id", 30), "ninco": ("ood", 12), "unit-tests": ("ood", 8)}
# By dataset: the class of each sample; fog is a class of one sample.
CLASSES = {
    "fit": [f"id-{i % 2}" for i in range(4)],
    "id": [f"id-{i % 3}" for i in range(30)],
    "ninco": ["barn-owl"] * 5 + ["dune"] * 6 + ["fog"],
    "unit-tests": ["black", "white"] * 4,
}
# By dataset: what the data of a pretraining hold of its classes; of the unit-tests, none.
SEEN: dict[str, dict[str, list[str]]] = {
    "ninco": {"in1k": ["dune"], "in21k": ["barn-owl"], "published": []},
    "unit-tests": {"in1k": []},
}
# By dataset: what bytes its first samples have, by a letter; the others have bytes of their own, and nobody read those of None.
SHARED: dict[str, list[str | None]] = {
    "fit": ["a", "b", "b"],
    "id": ["b", "c", None],
    "ninco": ["c", "d", "d", "d", "a"],
    "unit-tests": ["d", None, None],
}


def digests(dataset: str) -> list[str | None]:
    """The digest of each sample's bytes."""
    first = [letter and letter * 32 for letter in SHARED[dataset]]
    return first + [f"{dataset} {sample}" for sample in range(len(first), DATASETS[dataset][1])]


def more_models(base: dict[str, Any]) -> list[dict[str, Any]]:
    """The further models with their whole rows."""
    generator = np.random.default_rng(3)
    rows = []
    for change in MORE_MODELS:
        start = base | NO_RECIPE if change.get("source") == "ensemble" else base
        rows.append(start | {"accuracy": round(generator.uniform(0.7, 0.9), 3)} | change)
    return rows


def drawn_metrics(like: list[dict[str, Any]], names: list[str]) -> list[dict[str, Any]]:
    """Metrics of further models, for the same detectors and classes; those of the ensemble are of its combinations."""
    generator = np.random.default_rng(4)
    found = []
    for name in names:
        for row in like:
            combination = {"msp": "mean-rank", "knn": "mean-z"}.get(row["detector"])
            detector = combination if name == "all-in-one" else row["detector"]
            if detector is None:
                continue
            numbers = {"fpr95": generator.integers(0, 9) / 20, "auroc": generator.integers(70, 99) / 100}
            found.append(row | {"model": name, "detector": detector} | numbers)
    return found


CONSTANTS: dict[str, dict[str, Any]] = {
    "msp": {},
    "knn": {"k": 50},
    "knn@k=5": {"k": 5},
    "knn@k=200": {"k": 200},
    "gen": {"gamma": 0.1, "largest": 100},
    "gen@gamma=0.5": {"gamma": 0.5, "largest": 100},
    "gen@largest=10": {"gamma": 0.1, "largest": 10},
    "gen@gamma=0.5,largest=10": {"gamma": 0.5, "largest": 10},
    "vim": {"dim": "half of the features' dimensions"},
    "vim@dim=64": {"dim": 64},
}
# Of the variants, which models they have scored: not all of them all.
VARIANTS = {
    "knn@k=5": ("base", "wd", "drop"),
    "knn@k=200": ("base", "wd"),
    **{name: ("base", "strong") for name in CONSTANTS if name.startswith(("gen", "vim"))},
}


def drawn_variants(like: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Metrics of variants of detectors, for the same classes."""
    generator = np.random.default_rng(8)
    found = []
    for detector, models in VARIANTS.items():
        for row in (row | {"model": model} for model in models for row in like if row["detector"] == "knn"):
            numbers = {"fpr95": generator.integers(0, 9) / 20, "auroc": generator.integers(70, 99) / 100}
            found.append(row | {"detector": detector} | numbers)
    return found


def interval_of(row: dict[str, Any]) -> dict[str, Any]:
    """Intervals about metrics; those of one model are older than intervals are."""
    ends = {"fpr95": (0.06, 0.09), "auroc": (0.05, 0.01)}
    found = {
        f"{name}_{end}": max(0.0, min(1.0, row[name] + (by if end == "high" else -by)))
        for name, both in ends.items()
        for end, by in zip(("low", "high"), both, strict=True)
    }
    return dict.fromkeys(found) if row["model"] == "lr" else found


def drawn_scores() -> list[dict[str, Any]]:
    """Scores of three models with many ties, and one detector that gives every sample the same."""
    generator = np.random.default_rng(5)
    found = []
    for model in ("base", "wd", "drop"):
        for detector in ("msp", "mahalanobis", "knn"):
            is_constant = (model, detector) == ("drop", "knn")
            scores = {
                dataset: np.full(n, 0.5) if is_constant else np.round(generator.normal(role == "id", 1, n), 1)
                for dataset, (role, n) in DATASETS.items()
                if role != "fit"
            }
            for dataset, values in scores.items():
                for sample, score in enumerate(values):
                    rank = np.mean(scores["id"] < score) + np.mean(scores["id"] == score) / 2
                    row = {"model": model, "dataset": dataset, "detector": detector, "sample": sample}
                    found.append({"benchmark": "main"} | row | {"score": float(score), "id_rank": float(rank)})
    return found


def drawn_logits() -> list[dict[str, Any]]:
    """Logits of two models on the natural OOD set, with ties at the top, over four classes of which one has no sample."""
    generator = np.random.default_rng(6)
    return [
        {"model": model, "dataset": "ninco", "sample": n, "logits": generator.integers(0, 3, 4).astype(float).tolist()}
        for model in ("base", "wd")
        for n in range(12)
    ]


MEASURED = ("wd-drop", "lr-wd", "strong-wd", "large-strong", "slow", "published", "drop-depth")


def drawn_geometry() -> list[dict[str, Any]]:
    """Geometry of most models, with a measure that one of them lacks, and one that is the same for all.

    All is measured by the fit dataset, and once more, differently, by the ID test set, as in another benchmark.
    """
    generator = np.random.default_rng(7)
    found = []
    for model in ("base", "wd", "drop", "lr", "scratch", "strong", "large", "soup", "b-224", *MEASURED):
        for fit in ("fit", "id"):
            for dataset in DATASETS:
                names = MEASURES if dataset == fit else ["norm_mean", "norm_sd", "energy_outside"]
                drawn = dict.fromkeys(MEASURES) | {name: generator.integers(1, 99) / 100 for name in names}
                if dataset == fit:
                    drawn |= {"rank_within": 7.0} | ({"nc3": None} if model == "lr" else {})
                row = {"model": model, "dataset": dataset, "fit_dataset": fit, "rows": 9}
                found.append(row | {"role": "fit" if dataset == fit else "ood"} | drawn)
    return found


OF_MISTAKES = (
    "accuracy", "aurc", "eaurc", "augrc", "misclassification_auroc", "misclassification_fpr95", "oscr",
)  # fmt: skip
OF_CONFIDENCE = ("accuracy", "confidence", "ece", "ece_equal_mass", "nll", "brier")
WITHOUT_HEAD = "strong"
UNJUDGED = ("lr", "published")
"""Models that `score` has not judged by their mistakes yet."""


def drawn_selective(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the mistakes of most models say of each of their detectors, with ties; some predict no class."""
    generator = np.random.default_rng(9)
    keys = dict.fromkeys((r["benchmark"], r["model"], r["detector"], r["ood_dataset"]) for r in metrics)
    own = dict.fromkeys((*key[:3], None) for key in keys)
    found = []
    for benchmark, model, detector, ood in (*own, *keys):
        if model in UNJUDGED:
            continue
        lacking = {WITHOUT_HEAD: "no head", "all-in-one": "no class"}.get(model)
        names = ("accuracy", "oscr") if ood else OF_MISTAKES[:-1]
        numbers = {name: generator.integers(1, 5) / 8 for name in names}
        known = dict.fromkeys(OF_MISTAKES) | ({} if lacking else numbers)
        if (model, detector) == ("drop", "knn"):
            known |= {"misclassification_auroc": None, "misclassification_fpr95": None}
        row = {"benchmark": benchmark, "model": model, "detector": detector, "id_dataset": "id", "ood_dataset": ood}
        row |= {"n_id": 0 if lacking else 30, "n_ood": ood and 12, "unlabelled": 2, "lacking": lacking}
        found.append(row | known | {"risks": None if lacking or ood else [0.25, 0.5]})
    return found


def drawn_calibration(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Calibration of most models on the ID test set, and on one that is none."""
    generator = np.random.default_rng(10)
    found = []
    for model in (row["model"] for row in models if row["model"] not in UNJUDGED):
        lacking = "no head" if model == WITHOUT_HEAD else None
        for dataset in ("id", "fit"):
            numbers = {name: generator.integers(1, 9) / 10 for name in OF_CONFIDENCE}
            row = {"model": model, "dataset": dataset, "n": 0 if lacking else 30, "unlabelled": 2, "lacking": lacking}
            found.append(row | (dict.fromkeys(OF_CONFIDENCE) if lacking else numbers))
    return found


GROUPS = {"ninco": "near"}
UNSHIFTED = ("drop", "large")  # without scores of a csid set, so without metrics of the full spectrum


def of_both_spectra(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Metrics with those of the full spectrum, which no answer but those on spectra may read; older ones name no spectrum."""
    found = []
    for row in metrics:
        name = row["model"]
        found.append(row | {"spectrum": None if name == "base" else "standard"})
        if name not in UNSHIFTED:
            found.append(full_spectrum_of(row))
    return found


def full_spectrum_of(row: dict[str, Any]) -> dict[str, Any]:
    """Metrics as they might be with csid sets joined to the ID test set."""
    return row | {"spectrum": "full", "n_id": 900, "fpr95": (row["fpr95"] + 3) / 4, "auroc": row["auroc"] / 2}


def write_pool(lake: Lake, pool: Pool) -> None:
    if pool.models:
        for name, (role, _) in DATASETS.items():
            labels = [int(text[-1]) if text.startswith("id-") else None for text in CLASSES[name]]
            row = {"benchmarks": ["main", "other"], "location": f"/images/{name}", "ood_group": GROUPS.get(name)}
            row["seen_classes"] = json.dumps(SEEN[name]) if name in SEEN else None
            put_dataset(lake, name, role, CLASSES[name], labels, **row)
            put_rows(
                lake, "contents", {"dataset": name}, *({"sample": n, "digest": d} for n, d in enumerate(digests(name)))
            )
        for name, values in CONSTANTS.items():
            put_rows(lake, "detectors", {"detector": name}, {"hyperparameters": json.dumps(values)})
    for model in pool.models:
        name, accuracy = model["model"], model["accuracy"]
        recipe = ALIKE | {key: value for key, value in model.items() if key not in {"model", "accuracy"}}
        put_rows(lake, "models", {"model": name}, recipe)
        # Accuracy on another dataset must not be taken for that on the ID test set.
        for dataset, top1 in {"id": accuracy, "fit": 0.999}.items():
            if top1 is not None:
                put_rows(lake, "accuracy", {"model": name, "dataset": dataset}, {"n": 100, "top1": top1, "top5": 1.0})
    for table, rows in {
        "metrics": of_both_spectra(pool.metrics),
        "scores": pool.scores,
        "geometry": pool.geometry,
        "selective": pool.selective,
        "calibration": pool.calibration,
    }.items():
        for key, of_key in partitions(rows, *TABLES[table].path_columns):
            put_rows(lake, table, key, *of_key)
    for key, of_key in partitions(pool.logits, "model", "dataset"):
        sample, logits = (np.array([row[name] for row in of_key]) for name in ("sample", "logits"))
        rows = activations(sample, np.zeros(len(sample), int), np.zeros((len(sample), 2)), logits, "float16")
        put(lake, "activations", key, rows)


def partitions(rows: list[dict[str, Any]], *names: str) -> list[tuple[dict[str, str], list[dict[str, Any]]]]:
    """Rows by key, without it."""
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        rest = {name: value for name, value in row.items() if name not in names}
        found.setdefault(tuple(row[name] for name in names), []).append(rest)
    return [(dict(zip(names, key, strict=True)), of_key) for key, of_key in found.items()]


WHOLE = {
    "architecture": "vit", "input_size": 224, "pretraining": "in21k", "pretrain_epochs": 300.0, "pretrain_lr": 0.001,
    "weight_decay": 0.03, "dropout": 0.0, "stochastic_depth": 0.0, "augmentation": "light1", "finetune_dataset": "in1k",
    "finetune_lr": 0.01, "finetune_steps": 20_000,
}  # fmt: skip
"""A recipe of which everything is known."""
