"""What golden answers are worked out with: metrics beside their models, groups of them, and their statistics."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy import special, stats

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


def checkpoint_of(row: Row) -> Any:
    """What it is said to be finetuned from, or what its recipe tells but for the size of images and the finetuning."""
    if row.get("source") == "ensemble" or "architecture" not in row:
        return row["model"]
    plain = row["architecture"] or ""
    arguments = (row["short_architecture"] or "").removeprefix(plain)
    architecture = plain.removesuffix(f"_{row['input_size']}") + arguments
    names = ["pretraining", "pretrain_epochs", "pretrain_lr", "dropout", "stochastic_depth", "augmentation"]
    return row.get("checkpoint_id") or (architecture, pretraining_decay(row), *(row.get(name) for name in names))


def units(rows: list[Row], x: str, y: str) -> list[tuple[float, float]]:
    """Points of two columns: a mean for each checkpoint, or the models of a single one, to twelve digits."""
    by_checkpoint = [of for _, of in grouped([row | {"of": checkpoint_of(row)} for row in rows], "of")]
    parts = [[row] for row in rows] if len(by_checkpoint) == 1 else by_checkpoint
    return [tuple(float(f"{np.mean([row[name] for row in part]):.12g}") for name in (x, y)) for part in parts]


def fisher(kind: str, r: float | None, n: int) -> Row:
    """A correlation with Fisher's interval, by scipy's normal distribution; for ranks with the variance of Bonett and Wright."""
    if r is None or n < 10:
        return {kind: r, f"{kind}_low": None, f"{kind}_high": None}
    variance = (1 + (0 if kind == "pearson" else r**2 / 2)) / (n - 3)
    low, high = np.tanh(stats.norm.interval(0.95, np.arctanh(r), np.sqrt(variance)))
    return {kind: r, f"{kind}_low": low, f"{kind}_high": high}


def pearson(strata: list[list[tuple[float, float]]]) -> Row:
    """Of values less the means of their groups."""
    x, y = np.concatenate([np.array(points).reshape(-1, 2) - np.mean(points, 0) for points in strata]).T
    varies = all(
        any(len(set(column)) > 1 for column in of)
        for of in zip(*(zip(*points, strict=True) for points in strata), strict=True)
    )
    r = float(np.sum(x * y) / np.sqrt(np.sum(x**2) * np.sum(y**2))) if varies else None
    return fisher("pearson", r, len(x))


def rank_correlation(kind: str, strata: list[list[tuple[float, float]]]) -> Row:
    """The weighted mean of the groups' Spearman correlations, with interval, and p: by the beta distribution, or exact below ten."""
    telling = [points for points in strata if all(len(set(column)) > 1 for column in zip(*points, strict=True))]
    if not telling:
        return fisher(kind, None, 0) | {"p": None}
    weights = np.array([len(points) * (len(points) - 1) / (len(points) + 1) for points in telling])
    rho = np.array([stats.spearmanr(*zip(*points, strict=True)).statistic for points in telling])
    r, n = float(weights @ rho / weights.sum()), sum(len(points) - 1 for points in telling) + 1
    answer = fisher(kind, r, n)
    p = exact_p(telling, weights) if n < 10 else beta_p(r * weights.sum(), [len(points) for points in telling], weights)
    return answer | {"p": float(p)}


def beta_p(total: float, sizes: list[int], weights: Any) -> float:
    """scipy's beta distribution, with the variance and kurtosis of the weighted sum of Spearman correlations by chance."""
    n = np.array(sizes, float)
    fourth = 3 * (25 * n**3 - 38 * n**2 - 35 * n + 72) / (25 * n * (n + 1) * (n - 1) ** 3)
    variance = np.sum(weights**2 / (n - 1))
    excess = np.sum(weights**4 * (fourth - 3 / (n - 1) ** 2)) / variance**2
    shape = np.ceil(-6 / excess - 3) / 2
    reach = np.sqrt(variance * (2 * shape + 1))
    by_chance = stats.beta(shape, shape, loc=-reach, scale=2 * reach)
    return max(float(2 * by_chance.sf(abs(total))), 2 * float(np.exp(-np.sum(special.gammaln(n + 1)))))


def exact_p(strata: list[list[tuple[float, float]]], weights: Any) -> float:
    """From all orders within each group, by going through them; of all ways to break the ties the largest p counts."""
    chance, observed = np.zeros(1), [np.zeros(1)]
    for points, weight in zip(strata, weights, strict=True):
        chance = np.add.outer(chance, weight * by_chance(len(points))).ravel()
        x, y = (broken_ties(column) for column in zip(*points, strict=True))
        observed.append(weight * np.array([rho_of(np.array([b]), np.array(a))[0] for a in x for b in y]))
    sums = observed[0]
    for of_group in observed[1:]:
        sums = np.add.outer(sums, [of_group.min(), of_group.max()]).ravel()
    nearest = 0.0 if sums.min() <= 0 <= sums.max() else np.abs(sums).min()
    return float(np.mean(np.abs(chance) >= nearest - 1e-7))


@functools.cache
def by_chance(n: int) -> Any:
    """Spearman's correlation of each order of n things with one of them."""
    return rho_of(np.array(list(itertools.permutations(range(n)))), np.arange(n))


def rho_of(orders: Any, places: Any) -> Any:
    """Spearman's correlation of orders (rows) with one of the same length."""
    n = len(places)
    return 1 - 6 * ((orders - places) ** 2).sum(1) / (n**3 - n)


def broken_ties(values: Iterable[float]) -> list[list[int]]:
    """Places of numbers, for each order of those that are equal."""
    numbers = list(values)
    ties = [[i for i, v in enumerate(numbers) if v == value] for value in sorted(set(numbers))]
    return [
        [list(itertools.chain(*order)).index(i) for i in range(len(numbers))]
        for order in itertools.product(*(itertools.permutations(tie) for tie in ties))
    ]


def correlation_verdict(row: Row, kind: str) -> str | None:
    """What may be said of a correlation with its corrected p and interval."""
    if row[kind] is None:
        return None
    if row["p_holm"] is not None and row["p_holm"] < 0.05:
        return "falls" if row[kind] < 0 else "rises"
    low, high = row[f"{kind}_low"], row[f"{kind}_high"]
    return "weaker than 0.5" if low is not None and low > -0.5 and high < 0.5 else "too few to tell"


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
