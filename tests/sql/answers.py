"""Golden answers of the questions on metrics, worked out in plain Python and numpy from the pool's rows."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from featurestore.query import published
from tests.sql.conftest import ALIKE, DATASETS, MEASURES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    # From tests/sql/conftest.py: models and metrics as rows.
    Pool = Any
    Row = dict[str, Any]

_RECIPE = (
    "architecture", "pretraining", "augmentation", "weight_decay", "dropout", "stochastic_depth", "finetune_lr",
    "input_size",
)  # fmt: skip
RECIPE_ORDER = " ".join(("place", *_RECIPE))


def of_model(pool: Pool, name: str) -> Row:
    """A model's whole row; empty if the pool has none of that name."""
    return next((ALIKE | model for model in pool.models if model["model"] == name), {})


def selected(pool: Pool, **values: Any) -> list[Row]:
    return [row for row in pool.metrics if all(row[key] == value for key, value in values.items())]


def grouped(rows: Iterable[Row], key: Callable[[Row], tuple[Any, ...]]) -> dict[tuple[Any, ...], list[Row]]:
    groups = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def t_interval(values: Any) -> tuple[float | None, float | None]:
    if len(values) < 2:
        return None, None
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return np.mean(values) - half, np.mean(values) + half


def sign_test(negative: int, positive: int) -> float:
    return float(stats.binomtest(negative, negative + positive).pvalue) if negative + positive else 1.0


def accuracy_vs_ninco_fpr(
    pool: Pool, ood: str = "ninco", benchmark: str = "main", aggregation: str = "class_mean", detector: str = "all"
) -> list[Row]:
    return [
        {
            "model": r["model"],
            "pretraining": of_model(pool, r["model"])["pretraining"],
            "detector": r["detector"],
            "accuracy": of_model(pool, r["model"])["accuracy"],
            "fpr95": r["fpr95"],
            "auroc": r["auroc"],
            "n_ood": r["n_ood"],
        }
        for r in selected(pool, benchmark=benchmark, ood_dataset=ood, aggregation=aggregation)
        if detector in {"all", r["detector"]}
    ]


def clip_gap(
    pool: Pool,
    feature_based: str = "mahalanobis",
    logit_based: str = "max-logit",
    benchmark: str = "main",
    aggregation: str = "class_mean",
) -> list[Row]:
    rows = selected(pool, benchmark=benchmark, aggregation=aggregation)
    rows = [r for r in rows if r["detector"] in {feature_based, logit_based}]
    answer = []
    cells = grouped(rows, lambda r: (r["ood_dataset"], of_model(pool, r["model"])["pretraining"]))
    for (ood, pretraining), group in cells.items():
        by_model = grouped(group, lambda r: (r["model"],))
        both = [{r["detector"]: r["fpr95"] for r in of} for of in by_model.values() if len(of) == 2]
        gaps = np.array([of[feature_based] - of[logit_based] for of in both])
        low, high = t_interval(gaps)
        wins, losses = int((gaps < 0).sum()), int((gaps > 0).sum())
        answer.append(
            {
                "ood_dataset": ood,
                "pretraining": pretraining,
                "models": len(both),
                "feature_fpr95": mean(of[feature_based] for of in both),
                "logit_fpr95": mean(of[logit_based] for of in both),
                "gap": mean(gaps),
                "low": low,
                "high": high,
                "feature_wins": wins,
                "logit_wins": losses,
                "p": sign_test(wins, losses),
                "left_out": len(by_model) - len(both),
            }
        )
    return answer


def best_recipe(
    pool: Pool,
    ood: str = "ninco",
    detector: str = "mahalanobis",
    benchmark: str = "main",
    aggregation: str = "class_mean",
    top: int = 20,
) -> list[Row]:
    rows = selected(pool, benchmark=benchmark, aggregation=aggregation, ood_dataset=ood, detector=detector)
    known = [r for r in rows if of_model(pool, r["model"])["pretraining"] is not None]
    recipes = grouped(known, lambda r: tuple(of_model(pool, r["model"]).get(name) for name in _RECIPE))
    means = {recipe: mean(r["fpr95"] for r in group) for recipe, group in recipes.items()}
    answer = [
        {
            "place": 1 + sum(round(other, 9) < round(means[recipe], 9) for other in means.values()),
            **dict(zip(_RECIPE, recipe, strict=True)),
            "models": len(group),
            "mean_fpr95": means[recipe],
            "mean_auroc": mean(r["auroc"] for r in group),
            "mean_accuracy": mean(of_model(pool, r["model"])["accuracy"] for r in group),
            "left_out": len(rows) - len(known),
        }
        for recipe, group in recipes.items()
    ]
    return [row for row in answer if row["place"] <= top]


def soup_vs_ingredients(pool: Pool, benchmark: str = "main", aggregation: str = "class_mean") -> list[Row]:
    rows = selected(pool, benchmark=benchmark, aggregation=aggregation)
    cells = {(r["model"], r["ood_dataset"], r["detector"]): r for r in rows}
    answer = []
    for (model, ood, detector), whole in cells.items():
        names = of_model(pool, model)["soup_of"]
        if names is None:
            continue
        parts = [cells[name, ood, detector] for name in sorted(names) if (name, ood, detector) in cells]
        best = min(parts, key=lambda r: (r["fpr95"], r["model"]), default=None)
        average = mean(r["fpr95"] for r in parts)
        answer.append(
            {
                "soup": model,
                "ood_dataset": ood,
                "detector": detector,
                "fpr95": whole["fpr95"],
                "ingredients": len(parts),
                "missing": len(names) - len(parts),
                "mean_fpr95": average,
                "best": best and best["model"],
                "best_fpr95": best and best["fpr95"],
                "difference": None if average is None else whole["fpr95"] - average,
                "auroc": whole["auroc"],
                "mean_auroc": mean(r["auroc"] for r in parts),
                "accuracy": of_model(pool, model)["accuracy"],
                "mean_accuracy": mean(of_model(pool, r["model"])["accuracy"] for r in parts),
            }
        )
    return answer


def ensemble_gain(pool: Pool, benchmark: str = "main", aggregation: str = "class_mean") -> list[Row]:
    rows = selected(pool, benchmark=benchmark, aggregation=aggregation)
    cells = {(r["model"], r["detector"], r["ood_dataset"]): r for r in rows}
    answer = []
    for (model, detector, ood), whole in cells.items():
        if of_model(pool, model).get("source") != "ensemble":
            continue
        names = [tuple(name.split("/")) for name in json.loads(of_model(pool, model)["recipe"])["ensemble_of"]]
        parts = [cells[*name, ood] for name in names if (*name, ood) in cells]
        best = min(parts, key=lambda r: (r["fpr95"], f"{r['model']}/{r['detector']}"), default=None)
        answer.append(
            {
                "ensemble": model,
                "combination": detector,
                "ood_dataset": ood,
                "fpr95": whole["fpr95"],
                "members": len(parts),
                "missing": len(names) - len(parts),
                "best": best and f"{best['model']}/{best['detector']}",
                "best_fpr95": best and best["fpr95"],
                "gain": best and best["fpr95"] - whole["fpr95"],
                "mean_fpr95": mean(r["fpr95"] for r in parts),
                "auroc": whole["auroc"],
                "best_auroc": max((r["auroc"] for r in parts), default=None),
            }
        )
    return answer


def per_class_difficulty(
    pool: Pool, ood: str = "all", detector: str = "all", threshold: float = 0.1, benchmark: str = "main"
) -> list[Row]:
    rows = [
        r
        for r in selected(pool, benchmark=benchmark, aggregation="class")
        if ood in {"all", r["ood_dataset"]} and detector in {"all", r["detector"]}
    ]
    answer = []
    for (dataset, name), group in grouped(rows, lambda r: (r["ood_dataset"], r["ood_class"])).items():
        best = min(group, key=lambda r: (r["fpr95"], r["model"], r["detector"]))
        answer.append(
            {
                "ood_dataset": dataset,
                "ood_class": name,
                "samples": group[0]["n_ood"],
                "judged": len(group),
                "caught": sum(r["fpr95"] <= threshold for r in group),
                "best_fpr95": best["fpr95"],
                "best_model": best["model"],
                "best_detector": best["detector"],
                "mean_fpr95": mean(r["fpr95"] for r in group),
            }
        )
    return answer


def coverage(pool: Pool, benchmark: str = "main") -> list[Row]:
    rows = selected(pool, benchmark=benchmark, aggregation="pooled")
    answer = []
    for detector in sorted({r["detector"] for r in rows}):
        for dataset in ("ninco", "unit-tests"):
            cell = [r for r in rows if (r["detector"], r["ood_dataset"]) == (detector, dataset)]
            missing = sorted({model["model"] for model in pool.models} - {r["model"] for r in cell})
            answer.append(
                {
                    "detector": detector,
                    "ood_dataset": dataset,
                    "models": len(pool.models),
                    "judged": len(cell),
                    "missing": len(missing),
                    "first_missing": missing[0] if missing else None,
                    "samples": DATASETS[dataset][1],
                    "least_samples": min((int(r["n_ood"]) for r in cell), default=None),
                }
            )
    return answer


def geometry_predicts_fpr(
    pool: Pool,
    ood: str = "all",
    detector: str = "mahalanobis",
    benchmark: str = "main",
    aggregation: str = "class_mean",
) -> list[Row]:
    rows = [
        r
        for r in selected(pool, benchmark=benchmark, aggregation=aggregation)
        if ood in {"all", r["ood_dataset"]} and detector in {"all", r["detector"]} and r["model"] != "all-in-one"
    ]
    held = {(g["model"], g["dataset"]): g for g in pool.geometry if g["fit_dataset"] == "fit"}
    answer = []
    for (dataset, name), group in grouped(rows, lambda r: (r["ood_dataset"], r["detector"])).items():
        cell = []
        for measure in [*MEASURES, "ood_energy_outside"]:
            of, column = (dataset, "energy_outside") if measure == "ood_energy_outside" else ("fit", measure)
            values = [held.get((r["model"], of), {}).get(column) for r in group]
            x = np.array([value for value in values if value is not None])
            y = np.array([r["fpr95"] for r, value in zip(group, values, strict=True) if value is not None])
            defined = len(set(x)) > 1 and len(set(y)) > 1
            row = {"ood_dataset": dataset, "detector": name, "measure": measure, "models": len(x)}
            row["left_out"] = len(group) - len(x)
            # The ranks of ties at their mean, by counting.
            order = [np.array([np.sum(z < v) + np.sum(z == v) / 2 for v in z]) for z in (x, y)]
            for kind, pair in (("spearman", order), ("pearson", (x, y))):
                r = float(np.corrcoef(*pair)[0, 1]) if defined else None
                row |= {kind: r} | interval(kind, r, len(x))
            cell.append(row)
        sizes = [round(abs(row["spearman"]), 9) for row in cell if row["spearman"] is not None]
        for row in cell:
            known = row["spearman"] is not None
            row["place"] = 1 + sum(size > round(abs(row["spearman"]), 9) for size in sizes) if known else None
        answer += cell
    return answer


def interval(kind: str, r: float | None, n: int) -> Row:
    """Fisher's, by scipy's normal distribution; for ranks with the variance of Bonett and Wright."""
    if r is None or n <= 3:
        return {f"{kind}_low": None, f"{kind}_high": None}
    variance = (1 + (r**2 / 2 if kind == "spearman" else 0)) / (n - 3)
    low, high = np.tanh(stats.norm.interval(0.95, np.arctanh(r), np.sqrt(variance)))
    return {f"{kind}_low": low, f"{kind}_high": high}


def published_comparison(
    pool: Pool, rows: str = "all", benchmark: str = "main", aggregation: str = "class_mean"
) -> list[Row]:
    asked = selected(pool, benchmark=benchmark, aggregation=aggregation)
    source = {m["model"]: m.get("source") for m in pool.models}
    by_cell = grouped(asked, lambda r: (source[r["model"]], r["detector"], r["ood_dataset"]))
    return [
        {
            "published_model": theirs["model"],
            "detector": theirs["detector"],
            "ood_dataset": theirs["dataset"],
            "model": own.get("model"),
            "published_fpr95": theirs["fpr95"],
            "fpr95": own.get("fpr95"),
            "difference": own["fpr95"] - theirs["fpr95"] if own else None,
            "published_accuracy": theirs["accuracy"],
            "accuracy": of_model(pool, own["model"])["accuracy"] if own else None,
        }
        for theirs in published.table().to_pylist()
        for own in by_cell.get((f"timm:{theirs['timm_name']}", theirs["detector"], theirs["dataset"]), [{}])
        if own or rows == "all"
    ]


def published_best_detector(_: Pool) -> list[Row]:
    rows = published.table().to_pylist()
    best = {key: min(r["fpr95"] for r in of) for key, of in grouped(rows, lambda r: (r["model"],)).items()}
    cells = grouped(rows, lambda r: ("all", r["detector"])) | grouped(rows, lambda r: (r["pretraining"], r["detector"]))
    return [
        {
            "pretraining": pretraining,
            "detector": detector,
            "models": len(group),
            "wins": sum(r["fpr95"] == best[r["model"],] for r in group),
            "mean_fpr95": mean(r["fpr95"] for r in group),
        }
        for (pretraining, detector), group in cells.items()
    ]


def published_accuracy_vs_fpr(_: Pool, detector: str = "all") -> list[Row]:
    return [
        {name: r[name] for name in ("model", "pretraining", "detector", "accuracy", "fpr95")}
        for r in published.table().to_pylist()
        if detector in {"all", r["detector"]}
    ]
