"""Golden answers of the questions that compare detectors, in plain Python, numpy and scipy."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from tests.sql.answers.rows import (
    checkpoint_of,
    correlation_verdict,
    fisher,
    grouped,
    holm,
    loss,
    mean,
    pearson,
    picked,
    rank_correlation,
    selected,
    spread,
    units,
)
from tests.sql.pool import CONSTANTS, DATASETS, GROUPS, MEASURES, UNSHIFTED, full_spectrum_of

if TYPE_CHECKING:
    from tests.sql.answers.rows import Row
    from tests.sql.pool import Pool


def full_spectrum(pool: Pool, aggregation: str = "pooled", **chosen: Any) -> list[Row]:
    answer = []
    for row in selected(pool, aggregation=aggregation, **chosen):
        if row["model"] not in UNSHIFTED:
            full = full_spectrum_of(row)
            rise, fall = full["fpr95"] - row["fpr95"], row["auroc"] - full["auroc"]
            numbers = {"n_id": None, "n_id_full": full["n_id"], "fpr95_full": full["fpr95"], "fpr95_rise": rise}
            answer.append(row | numbers | {"auroc_full": full["auroc"], "auroc_fall": fall})
    names = "model detector ood_dataset n_id n_id_full fpr95 fpr95_full fpr95_rise auroc auroc_full auroc_fall"
    return picked(
        sorted(answer, key=lambda r: (r["ood_dataset"], -round(r["auroc_full"], 9), r["detector"], r["model"])), names
    )


def hyperparameters(
    pool: Pool, constant: str = "all", base: str = "all", metric: str = "fpr95", **chosen: Any
) -> list[Row]:
    series: dict[tuple[str, ...], dict[float, dict[str, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in selected(pool, **chosen):
        name, values = row["detector"].partition("@")[0], CONSTANTS.get(row["detector"], {})
        for key, value in values.items():
            if isinstance(value, str) or constant not in {"all", key} or base not in {"all", name}:
                continue
            others = json.dumps({k: v for k, v in values.items() if k != key}, separators=(",", ":"))
            series[row["ood_dataset"], name, key, others][value][row["model"]] = row
    answer = []
    for (ood, name, key, others), by_value in series.items():
        common = set.intersection(*(set(of) for of in by_value.values()))
        for value, of in by_value.items() if len(by_value) > 1 else ():
            best = [
                m for m in common if loss(of[m], metric) == min(loss(other[m], metric) for other in by_value.values())
            ]
            told = {"ood_dataset": ood, "detector": name, "constant": key, "others": others, "value": float(value)}
            counts = {"models": len(common), "left_out": len(of) - len(common), "best": len(best)}
            means = {f"mean_{what}": mean(of[m][what] for m in common) for what in ("fpr95", "auroc")}
            means["mean_metric"] = mean(of[m][metric] for m in common)
            answer.append(told | counts | means)
    return answer


def groups(
    pool: Pool, group: str = "all", spectrum: str = "standard", aggregation: str = "pooled", **chosen: Any
) -> list[Row]:
    rows = selected(pool, aggregation=aggregation, **chosen)
    if spectrum == "full":
        rows = [full_spectrum_of(row) for row in rows if row["model"] not in UNSHIFTED]
    rows = [row | {"ood_group": GROUPS.get(row["ood_dataset"], "other")} for row in rows]
    held = Counter(GROUPS.get(name, "other") for name, (role, _) in DATASETS.items() if role == "ood")
    answer = [
        key
        | {"ood_datasets": len(of), "missing": held[key["ood_group"]] - len(of)}
        | {f"mean_{name}": mean(row.get(name) for row in of) for name in ("fpr95", "auroc", "aupr_in", "aupr_out")}
        for key, of in grouped(rows, "ood_group", "model", "detector")
        if group in {"all", key["ood_group"]}
    ]
    return sorted(answer, key=lambda r: (r["ood_group"], -round(r["mean_auroc"], 9), r["detector"], r["model"]))


def model_overview(pool: Pool, metric: str = "fpr95", **chosen: Any) -> list[Row]:
    rows, sign = selected(pool, **chosen), 1 if metric == "fpr95" else -1
    by_model = {key["model"]: of for key, of in grouped(rows, "model")}
    parts = {name: _recipe_parts(of[0]) for name, of in by_model.items()}
    differing = [len(set(values)) > 1 for values in zip(*parts.values(), strict=True)]
    answer = []
    for name, of in by_model.items():
        by_detector = {key["detector"]: group for key, group in grouped(of, "detector")}
        best = min(
            by_detector,
            key=lambda d: (-len(by_detector[d]), round(sign * mean(r[metric] for r in by_detector[d]), 9), d),
        )
        told = [part for part, differs in zip(parts[name], differing, strict=True) if part and differs]
        recipe = ", ".join(told or [part for part in parts[name] if part]) or None
        answer += [
            row | {"recipe": recipe, "detectors": len(by_detector), "value": row[metric]} for row in by_detector[best]
        ]
    return picked(
        answer,
        "model recipe accuracy detector detectors ood_dataset fpr95 auroc fpr95_low fpr95_high auroc_low auroc_high value",
    )


def _recipe_parts(model: Row) -> list[str | None]:
    told = {"augmentation": "aug {}", "weight_decay": "wd {:.3g}", "dropout": "dropout {:.3g}", "stochastic_depth": "depth drop {:.3g}", "finetune_lr": "lr {:.3g}"}  # fmt: skip
    return [
        "ensemble"
        if model.get("source") == "ensemble"
        else "no pretraining"
        if model["pretraining"] == "none"
        else model["pretraining"],
        f"soup of {len(model['soup_of'])}" if model.get("soup_of") else None,
        f"{model['input_size']} px" if model["input_size"] else None,
        *(text.format(model[name]) if model[name] is not None else None for name, text in told.items()),
        model["short_architecture"],
    ]


def best_detector(pool: Pool, metric: str = "fpr95", **chosen: Any) -> list[Row]:
    rows = selected(pool, **chosen)
    worst_first = sorted(rows, key=lambda r: r[metric], reverse=metric == "fpr95")
    best = {(r["ood_dataset"], r["model"]): r[metric] for r in worst_first}
    answer = [
        key
        | {
            "models": len(group),
            "wins": sum(r[metric] == best[r["ood_dataset"], r["model"]] for r in group),
            "mean_fpr95": mean(r["fpr95"] for r in group),
            "mean_auroc": mean(r["auroc"] for r in group),
            "mean_value": mean(r[metric] for r in group),
            "checkpoints": len({checkpoint_of(r) for r in group}),
            "rows": group,
        }
        for key, group in grouped(rows, "ood_dataset", "pretraining", "detector")
    ]
    for _, of_set in grouped(answer, "ood_dataset"):
        contests = [contest for _, contest in grouped(of_set, "pretraining")]
        pairs = sum(math.comb(len(contest), 2) for contest in contests)
        for contest in contests:
            compare_with_the_leader(contest, metric, pairs)
    for row in answer:
        del row["rows"]
    return answer


def compare_with_the_leader(contest: list[Row], metric: str, pairs: int) -> None:
    """How far each detector is behind, by models and then by checkpoints, with scipy's t at a level for all pairs at once."""

    def by_checkpoint(values: list[tuple[Row, float]]) -> list[float]:
        of = defaultdict(list)
        for row, value in values:
            of[checkpoint_of(row)].append(value)
        return [round(float(np.mean(each)), 12) for each in of.values()]

    def of_means(row: Row) -> tuple[float, str]:
        return round(float(np.mean(by_checkpoint([(r, loss(r, metric)) for r in row["rows"]]))), 9), row["detector"]

    leader = min(contest, key=of_means)
    first = {r["model"]: loss(r, metric) for r in leader["rows"]}
    for row in contest:
        row.update(dict.fromkeys(("behind", "behind_low", "behind_high")))
        differences = [(r, loss(r, metric) - first[r["model"]]) for r in row["rows"] if r["model"] in first]
        if row is leader or not differences:
            continue
        values = by_checkpoint(differences)
        row["behind"] = float(np.mean(values))
        error = round(float(np.std(values, ddof=1) / np.sqrt(len(values))), 12) if len(values) > 1 else 0
        if error:
            reach = error * stats.t.isf(0.025 / pairs, len(values) - 1)
            row.update({"behind_low": row["behind"] - reach, "behind_high": row["behind"] + reach})
    for row in contest:
        low, high = row["behind_low"], row["behind_high"]
        near = low is not None and low > -0.05 and high < 0.05
        row["verdict"] = "behind" if low and low > 0 else "within 5 points" if near else "too few to tell"
    others = [row["verdict"] for row in contest if row is not leader]
    leader["verdict"] = None if not others else "best" if set(others) == {"behind"} else "leads"


def clip_gap(
    pool: Pool, feature_based: str = "mahalanobis", logit_based: str = "max-logit", metric: str = "fpr95", **chosen: Any
) -> list[Row]:
    rows = [r for r in selected(pool, **chosen) if r["detector"] in {feature_based, logit_based}]
    for row in rows:
        row["checkpoint"] = row["model"] if row["source"] == "ensemble" else checkpoint_of(row)
    answer = []
    for key, group in grouped(rows, "ood_dataset"):
        family = [
            key | of | gap_of(part, feature_based, logit_based, metric) for of, part in grouped(group, "pretraining")
        ]
        holm(family, "p_mean")
        answer += family
    return answer


def gap_of(rows: list[Row], feature_based: str, logit_based: str, metric: str) -> Row:
    """Each checkpoint counts once, by the means of its models; wins are of models."""
    by_model = [
        (of["checkpoint"], {r["detector"]: r[metric] for r in own}) for of, own in grouped(rows, "model", "checkpoint")
    ]
    both = [(checkpoint, of[feature_based], of[logit_based]) for checkpoint, of in by_model if len(of) == 2]
    by_checkpoint = defaultdict(list)
    for checkpoint, *values in both:
        by_checkpoint[checkpoint].append(values)
    means = np.array([np.mean(values, 0) for values in by_checkpoint.values()]).reshape(-1, 2)
    gaps, of_models = (means[:, 0] - means[:, 1]).round(12), np.array([a - b for _, a, b in both])
    row = {"models": len(both), "checkpoints": len(means), "left_out": len(by_model) - len(both), "gap": mean(gaps)}
    row |= {"feature_value": mean(means[:, 0]), "logit_value": mean(means[:, 1]), "p_mean": None}
    if len(gaps) > 1 and np.std(gaps) > 1e-12:
        row["p_mean"] = float(stats.ttest_1samp(gaps, 0).pvalue)
    signs = {"feature_wins": int((of_models < 0).sum()), "logit_wins": int((of_models > 0).sum())}
    if metric != "fpr95":
        signs = dict(zip(signs, reversed(signs.values()), strict=True))
    return row | spread(gaps, "feature_wins", "logit_wins") | signs


def ensemble_gain(pool: Pool, metric: str = "fpr95", **chosen: Any) -> list[Row]:
    cells = {(r["model"], r["detector"], r["ood_dataset"]): r for r in selected(pool, **chosen)}
    answer = []
    for (model, detector, ood), whole in cells.items():
        if whole["source"] != "ensemble":
            continue
        names = [tuple(name.split("/")) for name in json.loads(whole["recipe"])["ensemble_of"]]
        parts = [cells[*name, ood] for name in names if (*name, ood) in cells]
        best = min(parts, key=lambda r: (loss(r, metric), f"{r['model']}/{r['detector']}"), default=None)
        row = {"ensemble": model, "combination": detector, "members": len(parts), "missing": len(names) - len(parts)}
        row |= {"best": best and f"{best['model']}/{best['detector']}", "best_fpr95": best and best["fpr95"]}
        row |= {"value": whole[metric], "best_value": best and best[metric]}
        row |= {
            "gain": best and loss(best, metric) - loss(whole, metric),
            "mean_fpr95": mean(r["fpr95"] for r in parts),
        }
        row |= {"best_auroc": max((r["auroc"] for r in parts), default=None)}
        answer.append(row | picked([whole], "ood_dataset fpr95 auroc")[0])
    return answer


def geometry_predicts_fpr(pool: Pool, detector: str = "mahalanobis", metric: str = "fpr95", **chosen: Any) -> list[Row]:
    rows = [r for r in selected(pool, detector=detector, **chosen) if r["model"] != "all-in-one"]
    held = {(g["model"], g["dataset"]): g for g in pool.geometry if g["fit_dataset"] == "fit"}
    answer = []
    for key, group in grouped(rows, "ood_dataset", "detector"):
        cell = []
        for measure in [*MEASURES, "ood_energy_outside"]:
            outside = measure == "ood_energy_outside"
            of, column = (key["ood_dataset"], "energy_outside") if outside else ("fit", measure)
            measured = [r | {"value": held.get((r["model"], of), {}).get(column)} for r in group]
            measured = [r for r in measured if r["value"] is not None]
            row = key | {"measure": measure, "models": len(measured), "left_out": len(group) - len(measured)}
            every = units(measured, "value", metric)
            each = [
                (of["pretraining"], units(models, "value", metric))
                for of, models in grouped(measured, "pretraining")
                if of["pretraining"] is not None
            ]
            none = fisher("pearson", None, 0) | rank_correlation("spearman", [])
            overall = pearson([every]) | rank_correlation("spearman", [every]) if every else none
            within = rank_correlation("within", [points for _, points in each])
            row |= overall | within | {"n": len(every), "n_within": sum(len(points) for _, points in each)}
            if within["within"] is None:
                row["p"] = overall["p"]
            alone = [(name, points, rank_correlation("rho", [points])["rho"]) for name, points in sorted(each)]
            told = [f"{name} {rho:.2f} (n = {len(points)})" for name, points, rho in alone if rho is not None]
            row["each_pretraining"] = ", ".join(told) or None
            row["signs_differ"] = (
                None
                if row["within"] is None or row["spearman"] is None
                else round(row["within"] * row["spearman"], 12) < 0
            )
            cell.append(row)
        holm(cell, "p")
        for row in cell:
            row["verdict"] = correlation_verdict(row, "spearman" if row["within"] is None else "within")
        sizes = [None if row["spearman"] is None else round(abs(row["spearman"]), 9) for row in cell]
        for row, size in zip(cell, sizes, strict=True):
            row["place"] = None if size is None else 1 + sum(other > size for other in sizes if other is not None)
        answer += cell
    return answer
