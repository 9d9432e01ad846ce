"""What golden answers are worked out with: metrics beside their models, groups of them, and their statistics."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy import stats

from tests.sql.pool import ALIKE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.sql.pool import Pool

Row: TypeAlias = dict[str, Any]
RECIPE = (
    "short_architecture", "pretraining", "augmentation", "weight_decay", "dropout", "stochastic_depth", "finetune_lr",
    "input_size",
)  # fmt: skip


def of_model(pool: Pool, name: str) -> Row:
    """A model's whole row; empty if the pool has none of that name."""
    found = next((ALIKE | model for model in pool.models if model["model"] == name), {})
    return found | {"short_architecture": short_architecture(found)} if found else {}


def short_architecture(model: Row) -> str | None:
    """timm's name, and six digits of the arguments that are neither the image's size nor the number of classes."""
    if model["architecture"] is None:
        return None
    said = json.loads(model["model_kwargs"] or "{}")
    kwargs = {name: value for name, value in said.items() if name not in {"img_size", "num_classes"}}
    digits = hashlib.md5(json.dumps(kwargs, separators=(",", ":")).encode(), usedforsecurity=False).hexdigest()[:6]
    return model["architecture"] + f"+{digits}" * bool(kwargs)


def selected(
    pool: Pool, benchmark: str = "main", aggregation: str = "class_mean", ood: str = "all", detector: str = "all"
) -> list[Row]:
    """Metrics, each with the row of its model."""
    asked = {"benchmark": benchmark, "aggregation": aggregation, "ood_dataset": ood, "detector": detector}
    rows = [row for row in pool.metrics if all(value in {"all", row[name]} for name, value in asked.items())]
    return [dict.fromkeys((*RECIPE, "source")) | of_model(pool, row["model"]) | row for row in rows]


def grouped(rows: Iterable[Row], *names: str) -> list[tuple[Row, list[Row]]]:
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in names)].append(row)
    return [(dict(zip(names, key, strict=True)), group) for key, group in groups.items()]


def picked(rows: Iterable[Row], names: str) -> list[Row]:
    return [{name: row[name] for name in names.split()} for row in rows]


def loss(row: Row, metric: str) -> float:
    """The metric, so that less is better."""
    value: float = row[metric]
    return value if metric == "fpr95" else -value


def mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def spread(differences: Any, negative: str, positive: str) -> Row:
    """The t-interval of their mean, how many have which sign, and the sign test."""
    less, more, n = int((differences < 0).sum()), int((differences > 0).sum()), len(differences)
    half = stats.t.ppf(0.975, n - 1) * np.std(differences, ddof=1) / np.sqrt(n) if n > 1 else None
    low, high = (None, None) if half is None else (np.mean(differences) - half, np.mean(differences) + half)
    p = float(stats.binomtest(less, less + more).pvalue) if less + more else 1.0
    return {"low": low, "high": high, negative: less, positive: more, "p": p}


def correlation(kind: str, x: Any, y: Any, groups: int = 1) -> Row:
    """With Fisher's interval, by scipy's normal distribution; for ranks with the variance of Bonett and Wright."""
    n, r = len(x) - groups + 1, None
    if len(set(x)) > 1 and len(set(y)) > 1:
        r = float(stats.spearmanr(x, y).statistic if kind == "spearman" else np.corrcoef(x, y)[0, 1])
    if r is None or n < 10:
        return {kind: r, f"{kind}_low": None, f"{kind}_high": None}
    variance = (1 + (0 if kind == "pearson" else r**2 / 2)) / (n - 3)
    low, high = np.tanh(stats.norm.interval(0.95, np.arctanh(r), np.sqrt(variance)))
    return {kind: r, f"{kind}_low": low, f"{kind}_high": high}


def pooled_within(kind: str, x: Any, y: Any, groups: list[str]) -> Row:
    """Of numbers, or of ranks among all, less the mean of each group."""
    names = np.array(groups)
    centred = []
    for values in (x, y):
        of = np.array(values, float) if kind == "pearson" else stats.rankdata(values)
        for name in set(groups):
            of[names == name] -= of[names == name].mean()
        centred.append(of.round(9 if kind != "pearson" else 14))
    return correlation(kind if kind == "pearson" else "within", *centred, groups=len(set(groups)))


def holm(rows: list[Row], p: str) -> None:
    """Put the p values of a family, corrected, into its rows."""
    family = sorted((row for row in rows if row[p] is not None), key=lambda row: row[p])
    for row in rows:
        row["p_holm"] = None
    for i, row in enumerate(family):
        before = family[i - 1]["p_holm"] if i else 0.0
        row["p_holm"] = max(before, min(1.0, row[p] * (len(family) - i)))


def pretraining_decay(row: Row) -> float | None:
    return row.get("pretrain_weight_decay") or row["weight_decay"]


def checkpoint_of(row: Row) -> Any:
    """What a model is said to come from, or its recipe but for size of image and finetuning."""
    plain = row["architecture"] or ""
    architecture = plain.removesuffix(f"_{row['input_size']}") + (row["short_architecture"] or "").removeprefix(plain)
    names = ["pretraining", "pretrain_epochs", "pretrain_lr", "dropout", "stochastic_depth", "augmentation"]
    return row.get("checkpoint_id") or (architecture, pretraining_decay(row), *(row.get(name) for name in names))
