"""Golden answers of the questions on recipes, in plain Python, numpy and scipy."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from tests.sql.answers.rows import (
    RECIPE,
    checkpoint_of,
    grouped,
    holm,
    loss,
    mean,
    of_model,
    picked,
    pretraining_decay,
    selected,
    spread,
)
from tests.sql.pool import CLASSES, SEEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sql.answers.rows import Row
    from tests.sql.pool import Pool

# The pairs of the pool that differ in one ingredient alone, by hand; those of the same two checkpoints stand together.
PAIRS = {
    "weight_decay": [[("base", "wd"), ("lr", "lr-wd")], [("drop", "wd-drop")], [("strong", "strong-wd")]],
    "dropout": [[("base", "drop")], [("wd", "wd-drop")]],
    "dropout+stochastic_depth": [[("no-depth", "drop-depth")], [("no-depth", "drop")], [("base", "drop-depth")]],
    "finetune_lr": [[("base", "lr")], [("wd", "lr-wd")]],
    "pretraining": [[("scratch", "base")], [("base", "published")], [("scratch", "published")]],
    "augmentation": [[("base", "strong"), ("large", "large-strong")], [("wd", "strong-wd")]],
    "input_size": [[("base", "large")], [("strong", "large-strong")], [("b-224", "b-384")]],
}
# Models of one recipe by the first of them, and those of which a part is not known.
REPEATS = {"wd": ("wd", "wd-again")}
INCOMPLETE = {"unknown", "soup", "poor-soup", "dark", "dark-wd"}


def known(pool: Pool, name: str, ingredient: str) -> str | None:
    """A model's value of an ingredient as text, joined by + where it is two."""
    values = [of_model(pool, name).get(part) for part in ingredient.split("+")]
    return None if None in values else "+".join(str(value) for value in values)


def effect(*ingredients: str) -> Callable[..., list[Row]]:
    def answer(pool: Pool, metric: str = "fpr95", **chosen: Any) -> list[Row]:
        of = {(r["model"], r["ood_dataset"], r["detector"]): r for r in selected(pool, **chosen)}
        cells = {key[1:] for key in of}
        groups = defaultdict(list)
        for ingredient, cluster, cell in ((i, c, cell) for i in ingredients for c in PAIRS[i] for cell in cells):
            pairs = defaultdict(list)
            for first, second in cluster:
                a, b = (
                    [of[m, *cell] for m in REPEATS.get(name, (name,)) if (m, *cell) in of] for name in (first, second)
                )
                if a and b:
                    values = known(pool, a[0]["model"], ingredient), known(pool, b[0]["model"], ingredient)
                    pairs[values].append([mean(r[n] for r in b) - mean(r[n] for r in a) for n in (metric, "auroc")])
            for values, differences in pairs.items():
                groups[*cell, *values].append(np.array(differences))
        left_out = Counter((ood, detector) for model, ood, detector in of if model in INCOMPLETE)
        for cell in set(left_out) - {key[:2] for key in groups}:
            groups[*cell, None, None] = []
        names = "ood_dataset", "detector", "from_value", "to_value"
        rows = [
            dict(zip(names, key, strict=True)) | summary(clusters, metric) | {"left_out": left_out[key[:2]]}
            for key, clusters in groups.items()
        ]
        for _, family in grouped(rows, "ood_dataset"):
            holm(family, "p_mean")
        return rows

    return answer


def summary(clusters: list[Any], metric: str = "fpr95") -> Row:
    """Each cluster of pairs counts once, by its mean; the signs are counted of all pairs, and tested of clusters."""
    pairs = np.concatenate([*clusters, np.empty((0, 2))]).round(12)
    fpr, auroc = np.array([cluster.mean(0) for cluster in clusters]).reshape(-1, 2).T
    row = {"pairs": len(pairs), "clusters": len(clusters), "mean_difference": mean(fpr), "p_mean": None}
    if len(fpr) > 1 and np.std(fpr) > 1e-12:
        row["p_mean"] = float(stats.ttest_1samp(fpr, 0).pvalue)
    sign = 1 if metric == "fpr95" else -1
    signs = {"improved": int((sign * pairs[:, 0] < 0).sum()), "worsened": int((sign * pairs[:, 0] > 0).sum())}
    return row | spread(fpr.round(12), "improved", "worsened") | signs | {"mean_auroc_difference": mean(auroc)}


def pretraining_effect(
    pool: Pool, metric: str = "fpr95", benchmark: str = "main", aggregation: str = "class_mean"
) -> list[Row]:
    """The effect, and once more on the classes that neither pretraining has seen, from the metrics of single classes."""
    answer = effect("pretraining")(pool, metric=metric, benchmark=benchmark, aggregation=aggregation)
    by_class = {
        (r["model"], r["detector"], r["ood_dataset"], r["ood_class"]): r
        for r in selected(pool, benchmark=benchmark, aggregation="class")
    }
    for row in answer:
        said = [SEEN.get(row["ood_dataset"], {}).get(data) for data in (row["from_value"], row["to_value"])]
        seen = {name for names in said for name in names or ()}
        told = said != [None, None]
        row |= {"classes": len(set(CLASSES[row["ood_dataset"]])), "seen_classes": len(seen) if told else None}
        numbers = dict.fromkeys(("difference", "low", "high", "auroc_difference"))
        values, means = (row["from_value"], row["to_value"]), []
        for cluster in PAIRS["pretraining"] if told and (aggregation, metric[:4]) != ("pooled", "aupr") else ():
            differences = []
            for pair in cluster:
                of = [
                    {key[3]: r for key, r in by_class.items() if key[:3] == (m, row["detector"], row["ood_dataset"])}
                    for m in pair
                ]
                left = sorted(of[0].keys() & of[1].keys() - seen)
                if left and tuple(known(pool, m, "pretraining") for m in pair) == values:
                    weights = [of[0][name]["n_ood"] if aggregation == "pooled" else 1 for name in left]
                    changes = [[of[1][name][n] - of[0][name][n] for n in (metric, "auroc")] for name in left]
                    differences.append(np.average(changes, axis=0, weights=weights))
            means += [np.mean(differences, axis=0)] if differences else []
        if means:
            first, auroc = np.array(means).T
            interval = spread(first, "less", "more")
            numbers |= {"difference": mean(first), "auroc_difference": mean(auroc)}
            numbers |= {"low": interval["low"], "high": interval["high"]}
        row |= {f"unseen_{name}": value for name, value in numbers.items()}
    return answer


def interactions(pool: Pool, ingredient: str = "all", metric: str = "fpr95", **chosen: Any) -> list[Row]:
    """All that two pairs of one ingredient and two of another make, repeats averaged."""
    rows = selected(pool, **({"detector": "mahalanobis"} | chosen))
    named = {("resolution" if name == "input_size" else name): (name, pairs) for name, pairs in PAIRS.items()}
    pairs = {
        name: {pair: place for place, cluster in enumerate(given) for pair in cluster}
        for name, (_, given) in named.items()
    }
    answer = []
    for cell, of_cell in grouped(rows, "ood_dataset", "detector"):
        values = {row["model"]: row[metric] for row in of_cell}
        groups = defaultdict(lambda: defaultdict(list))
        for a, b in itertools.permutations(pairs, 2):
            if a != ingredient and (ingredient != "all" or a > b):
                continue
            for (first, after), (other, both) in itertools.product(pairs[a], repeat=2):
                if (first, other) in pairs[b] and (after, both) in pairs[b]:
                    means = [
                        mean(values[m] for m in REPEATS.get(name, (name,)) if m in values)
                        for name in (first, after, other, both)
                    ]
                    if None not in means:
                        key = [known(pool, m, named[n][0]) for n, m in ((a, first), (a, after), (b, first), (b, other))]
                        of = pairs[a][first, after], pairs[a][other, both]
                        groups[a, key[0], key[1], b, key[2], key[3]][of].append(
                            (means[1] - means[0], means[3] - means[2])
                        )
        left_out = sum(row["model"] in INCOMPLETE for row in of_cell)
        names = "ingredient", "from_value", "to_value", "other", "other_from", "other_to"
        found = [dict(zip(names, key, strict=True)) | of_fours(clusters) for key, clusters in groups.items()]
        if not found and left_out:
            found = [dict.fromkeys(names) | of_fours({})]
        answer += [cell | row | {"left_out": left_out} for row in found]
    for _, family in grouped(answer, "ood_dataset"):
        holm(family, "p")
    return answer


def of_fours(clusters: dict[Any, list[tuple[float, float]]]) -> Row:
    means = np.array([np.mean(fours, 0) for fours in clusters.values()]).reshape(-1, 2)
    differences = means[:, 1] - means[:, 0]
    row = {
        "fours": sum(map(len, clusters.values())),
        "clusters": len(means),
        "interaction": mean(differences),
        "p": None,
    }
    row |= {"effect_from": mean(means[:, 0]), "effect_to": mean(means[:, 1])}
    row |= {name: spread(differences, "less", "more")[name] for name in ("low", "high")}
    if len(means) > 1 and np.std(differences) > 1e-12:
        row["p"] = float(stats.ttest_1samp(differences, 0).pvalue)
    return row


def best_recipe(
    pool: Pool, ood: str = "ninco", detector: str = "mahalanobis", top: int = 20, metric: str = "fpr95", **chosen: Any
) -> list[Row]:
    rows = selected(pool, ood=ood, detector=detector, **chosen)
    complete = [r for r in rows if r["pretraining"] is not None]
    answer = [
        recipe
        | {"models": len(group), "left_out": len(rows) - len(complete)}
        | {f"mean_{name}": mean(r[name] for r in group) for name in ("fpr95", "auroc", "accuracy")}
        | {"mean_value": mean(r[metric] for r in group)}
        for recipe, group in grouped(complete, *RECIPE)
    ]
    sign = 1 if metric == "fpr95" else -1
    means = [round(sign * row["mean_value"], 9) for row in answer]
    answer = [
        row | {"place": 1 + sum(other < mine for other in means)} for row, mine in zip(answer, means, strict=True)
    ]
    return [row for row in answer if row["place"] <= top]


def soup_vs_ingredients(pool: Pool, metric: str = "fpr95", **chosen: Any) -> list[Row]:
    cells = {(r["model"], r["ood_dataset"], r["detector"]): r for r in selected(pool, **chosen)}
    answer = []
    for (model, *cell), whole in cells.items():
        names = whole["soup_of"]
        if names is None:
            continue
        parts = [cells[name, *cell] for name in sorted(names) if (name, *cell) in cells]
        best = min(parts, key=lambda r: (loss(r, metric), r["model"]), default=None)
        average = mean(r[metric] for r in parts)
        row = {"soup": model, "ingredients": len(parts), "missing": len(names) - len(parts)}
        row |= {"best": best and best["model"], "best_fpr95": best and best["fpr95"]}
        row |= {"value": whole[metric], "mean_value": average, "best_value": best and best[metric]}
        row |= {"difference": None if average is None else whole[metric] - average}
        row |= {f"mean_{name}": mean(r[name] for r in parts) for name in ("fpr95", "auroc", "accuracy")}
        answer.append(row | picked([whole], "ood_dataset detector fpr95 auroc accuracy")[0])
    return answer


def best_practice(
    pool: Pool,
    detector: str = "mahalanobis",
    pretraining: str = "in21k",
    weight_decay: float = 0.1,
    finetune_lr: float = 0.01,
    metric: str = "fpr95",
    **chosen: Any,
) -> list[Row]:
    answer = []
    for key, rows in grouped(selected(pool, detector=detector, **chosen), "ood_dataset", "detector"):
        follows = defaultdict(list)
        for row in rows:
            if row["source"] == "ensemble":
                continue
            row["value"] = row[metric]
            each = [
                row["pretraining"] and row["pretraining"] == pretraining,
                None if (decay := pretraining_decay(row)) is None else decay >= weight_decay,
                None if row["finetune_lr"] is None else row["finetune_lr"] <= finetune_lr,
            ]
            for advice, told in zip(("pretraining", "weight decay", "finetuning rate"), each, strict=True):
                follows[advice].append((told, row))
            follows["all three"].append((False if False in each else None if None in each else True, row))
        family = [key | {"advice": advice} | followed(told) for advice, told in follows.items()]
        holm(family, "p")
        answer += family
    return answer


def followed(told: list[tuple[bool | None, Row]]) -> Row:
    """The means of both sides, one value per checkpoint (what it is said to be, or models alike but for size of image and finetuning), and an interval as of a regression with clustered errors, from its matrices."""
    sides = []
    for side in (True, False):
        by_checkpoint = defaultdict(list)
        for follows, row in told:
            if follows is side:
                by_checkpoint[checkpoint_of(row)].append(row["value"])
        sides.append({name: mean(values) for name, values in by_checkpoint.items()})
    (first, second), (following, others) = sides, ([side for f, _ in told if f is side] for side in (True, False))
    difference = np.mean([*first.values()]) - np.mean([*second.values()]) if first and second else None
    half = p = None
    if min(len(first), len(second)) > 1:
        error, freedom = clustered([*first.items()], [*second.items()])
        if round(error, 12) > 0 and freedom >= 2:
            half, p = stats.t.ppf(0.975, freedom) * error, 2 * stats.t.sf(abs(difference) / error, freedom)
    first, second = [*first.values()], [*second.values()]
    return {
        "following": len(following),
        "following_checkpoints": len(first),
        "others": len(others),
        "other_checkpoints": len(second),
        "following_value": mean(first),
        "other_value": mean(second),
        "difference": difference,
        "low": None if half is None else difference - half,
        "high": None if half is None else difference + half,
        "p": p,
        "left_out": sum(f is None for f, _ in told),
    }


def clustered(first: list[tuple[Any, float]], second: list[tuple[Any, float]]) -> tuple[float, float]:
    """Error of a difference of two means whose members share clusters (CR2), and its degrees of freedom (Bell & McCaffrey), rounded down."""
    names, y = zip(*first, *second, strict=True)
    x = np.array([[1.0, 0.0]] * len(first) + [[0.0, 1.0]] * len(second))
    inverse = np.linalg.inv(x.T @ x)
    rest = np.eye(len(y)) - x @ inverse @ x.T
    rows = []
    for name in dict.fromkeys(names):
        own = np.array([other == name for other in names])
        values, vectors = np.linalg.eigh(rest[np.ix_(own, own)])
        root = vectors @ np.diag(values**-0.5) @ vectors.T
        rows.append(np.array([1.0, -1.0]) @ inverse @ x[own].T @ root @ rest[own])
    weights = np.array(rows)
    products = weights @ weights.T
    return float(np.linalg.norm(weights @ y)), float(np.floor(np.trace(products) ** 2 / np.sum(products**2) + 1e-6))
