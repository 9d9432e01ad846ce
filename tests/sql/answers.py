"""Golden answers of the questions on metrics, worked out in plain Python and numpy from the pool's rows."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from featurestore.query import published
from tests.sql.conftest import ALIKE, CONSTANTS, DATASETS, GROUPS, MEASURES, UNSHIFTED, full_spectrum_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    # From tests/sql/conftest.py: models and metrics as rows.
    Pool = Any
    Row = dict[str, Any]

RECIPE = (
    "architecture", "pretraining", "augmentation", "weight_decay", "dropout", "stochastic_depth", "finetune_lr",
    "input_size",
)  # fmt: skip
COLOURS = "weight_decay finetune_lr augmentation"
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
NO_WITHIN = dict.fromkeys(("within", "within_low", "within_high"))
REPEATS = {"wd": ("wd", "wd-again")}
INCOMPLETE = {"unknown", "soup", "poor-soup", "dark", "dark-wd"}


def of_model(pool: Pool, name: str) -> Row:
    """A model's whole row; empty if the pool has none of that name."""
    return next((ALIKE | model for model in pool.models if model["model"] == name), {})


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


def hyperparameters(pool: Pool, constant: str = "all", base: str = "all", **chosen: Any) -> list[Row]:
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
            best = [m for m in common if of[m]["fpr95"] == min(other[m]["fpr95"] for other in by_value.values())]
            told = {"ood_dataset": ood, "detector": name, "constant": key, "others": others, "value": float(value)}
            counts = {"models": len(common), "left_out": len(of) - len(common), "best": len(best)}
            means = {f"mean_{what}": mean(of[m][what] for m in common) for what in ("fpr95", "auroc")}
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


def accuracy_vs_unit_test_fpr(
    pool: Pool, unit_tests: str = "unit-tests", metric: str = "fpr95", **chosen: Any
) -> list[Row]:
    return [
        key
        | {
            "mean_fpr95": mean(r["fpr95"] for r in group),
            "mean_value": mean(r[metric] for r in group),
            "failed": sum(r["fpr95"] > 0.1 for r in group),
            "unit_tests": len(group),
        }
        for key, group in grouped(
            selected(pool, aggregation="class", ood=unit_tests, **chosen),
            "model",
            "pretraining",
            "detector",
            "accuracy",
            *COLOURS.split(),
        )
    ]


def accuracy_vs_ninco_fpr(pool: Pool, ood: str = "ninco", **chosen: Any) -> list[Row]:
    return picked(selected(pool, ood=ood, **chosen), "model pretraining detector accuracy fpr95 auroc n_ood " + COLOURS)


def ninco_vs_unit_test_fpr(
    pool: Pool,
    ood: str = "ninco",
    unit_tests: str = "unit-tests",
    aggregation: str = "class_mean",
    metric: str = "fpr95",
    **chosen: Any,
) -> list[Row]:
    natural = selected(pool, ood=ood, aggregation=aggregation, **chosen)
    of_tests = {(r["model"], r["detector"]): r for r in accuracy_vs_unit_test_fpr(pool, unit_tests, metric, **chosen)}
    answer = []
    for row in natural:
        if tests := of_tests.get((row["model"], row["detector"])):
            more = {
                "unit_test_fpr95": tests["mean_fpr95"],
                "value": row[metric],
                "unit_test_value": tests["mean_value"],
                "failed": tests["failed"],
                "unit_tests": tests["unit_tests"],
            }
            answer += picked([row | more], f"model pretraining {COLOURS} detector accuracy fpr95 {' '.join(more)}")
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
        answer += [key | {"advice": advice} | followed(told) for advice, told in follows.items()]
    return answer


def pretraining_decay(row: Row) -> float | None:
    return row.get("pretrain_weight_decay") or row["weight_decay"]


def followed(told: list[tuple[bool | None, Row]]) -> Row:
    """Welch's interval from scipy's t, one value per checkpoint: what it is said to be, or models alike but for size of image and finetuning."""
    sides = []
    for side in (True, False):
        by_checkpoint = defaultdict(list)
        for follows, row in told:
            if follows is side:
                architecture = (row["architecture"] or "").removesuffix(f"_{row['input_size']}")
                names = ["pretraining", "pretrain_epochs", "pretrain_lr", "dropout", "stochastic_depth", "augmentation"]
                recipe = (architecture, pretraining_decay(row), *(row.get(name) for name in names))
                by_checkpoint[row.get("checkpoint_id") or recipe].append(row["value"])
        sides.append([mean(values) for values in by_checkpoint.values()])
    (first, second), (following, others) = sides, ([side for f, _ in told if f is side] for side in (True, False))
    difference = np.mean(first) - np.mean(second) if first and second else None
    half = None
    if min(len(first), len(second)) > 1:
        a, b = (np.var(side, ddof=1) / len(side) for side in sides)
        if a + b:
            freedom = np.floor((a + b) ** 2 / (a**2 / (len(first) - 1) + b**2 / (len(second) - 1)) + 1e-6)
            half = stats.t.ppf(0.975, freedom) * np.sqrt(a + b)
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
        "left_out": sum(f is None for f, _ in told),
    }


def accuracy_fpr_correlation(pool: Pool, **chosen: Any) -> list[Row]:
    rows = selected(pool, **chosen)
    rows += [r | {"pretraining": "all"} for r in rows]
    answer = []
    for key, every in grouped(rows, "ood_dataset", "pretraining", "detector"):
        group = [r for r in every if r["accuracy"] is not None]
        pair = [[r[name] for r in group] for name in ("accuracy", "fpr95")]
        row = key | {"models": len(group), "left_out": len(every) - len(group)}
        answer.append(row | correlation("pearson", *pair) | correlation("spearman", *pair))
    for key, every in grouped(selected(pool, **chosen), "ood_dataset", "detector"):
        group = [r for r in every if None not in (r["accuracy"], r["pretraining"])]
        if group:
            three = [[r[name] for r in group] for name in ("accuracy", "fpr95", "pretraining")]
            row = {"pretraining": "pooled within", "models": len(group), "left_out": len(every) - len(group)}
            ranks = pooled_within("spearman", *three)
            ranks = {name.replace("within", "spearman"): value for name, value in ranks.items()}
            answer.append(key | row | pooled_within("pearson", *three) | ranks)
    return answer


def best_detector(pool: Pool, metric: str = "fpr95", **chosen: Any) -> list[Row]:
    rows = selected(pool, **chosen)
    worst_first = sorted(rows, key=lambda r: r[metric], reverse=metric == "fpr95")
    best = {(r["ood_dataset"], r["model"]): r[metric] for r in worst_first}
    return [
        key
        | {
            "models": len(group),
            "wins": sum(r[metric] == best[r["ood_dataset"], r["model"]] for r in group),
            "mean_fpr95": mean(r["fpr95"] for r in group),
            "mean_auroc": mean(r["auroc"] for r in group),
            "mean_value": mean(r[metric] for r in group),
        }
        for key, group in grouped(rows, "ood_dataset", "pretraining", "detector")
    ]


def high_accuracy_failures(
    pool: Pool, unit_tests: str = "unit-tests", top: int = 5, threshold: float = 0.1
) -> list[Row]:
    rows = selected(pool, aggregation="class", ood=unit_tests)
    accuracies = {r["model"]: r["accuracy"] for r in rows}
    ranked = [name for name, accuracy in accuracies.items() if accuracy is not None]
    leaders = sorted(ranked, key=lambda name: (-accuracies[name], name))[:top]
    failing = [r for r in rows if r["model"] in leaders and r["fpr95"] > threshold]
    answer = []
    for key, group in grouped(failing, "model", "accuracy", "detector"):
        worst_first = sorted(group, key=lambda r: (-r["fpr95"], r["ood_class"]))
        failures = [r["ood_class"] for r in worst_first]
        row = {"failed": len(group), "worst": failures[0], "worst_fpr95": worst_first[0]["fpr95"]}
        answer.append(key | row | {"failures": failures, "left_out": len(accuracies) - len(ranked)})
    return answer


def unit_test_heatmap(
    pool: Pool, unit_tests: str = "unit-tests", detector: str = "mahalanobis", metric: str = "fpr95"
) -> list[Row]:
    rows = selected(pool, aggregation="class", ood=unit_tests, detector=detector)
    rows = [r | {"unit_test": r["ood_class"], "failed": r["fpr95"] > 0.1, "value": r[metric]} for r in rows]
    return picked(rows, "model unit_test fpr95 failed value")


def known(pool: Pool, name: str, ingredient: str) -> str | None:
    """A model's value of an ingredient as text, joined by + where it is two."""
    values = [of_model(pool, name).get(part) for part in ingredient.split("+")]
    return None if None in values else "+".join(str(value) for value in values)


def effect(*ingredients: str) -> Callable[..., list[Row]]:
    def answer(pool: Pool, **chosen: Any) -> list[Row]:
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
                    pairs[values].append([mean(r[n] for r in b) - mean(r[n] for r in a) for n in ("fpr95", "auroc")])
            for values, differences in pairs.items():
                groups[*cell, *values].append(np.array(differences))
        left_out = Counter((ood, detector) for model, ood, detector in of if model in INCOMPLETE)
        for cell in set(left_out) - {key[:2] for key in groups}:
            groups[*cell, None, None] = []
        names = "ood_dataset", "detector", "from_value", "to_value"
        rows = [
            dict(zip(names, key, strict=True)) | summary(clusters) | {"left_out": left_out[key[:2]]}
            for key, clusters in groups.items()
        ]
        for _, family in grouped(rows, "ood_dataset"):
            holm(family, "p_mean")
        return rows

    return answer


def summary(clusters: list[Any]) -> Row:
    """Each cluster of pairs counts once, by its mean; the signs are counted of all pairs, and tested of clusters."""
    pairs = np.concatenate([*clusters, np.empty((0, 2))]).round(12)
    fpr, auroc = np.array([cluster.mean(0) for cluster in clusters]).reshape(-1, 2).T
    row = {"pairs": len(pairs), "clusters": len(clusters), "mean_difference": mean(fpr), "p_mean": None}
    if len(fpr) > 1 and np.std(fpr) > 1e-12:
        row["p_mean"] = float(stats.ttest_1samp(fpr, 0).pvalue)
    signs = {"improved": int((pairs[:, 0] < 0).sum()), "worsened": int((pairs[:, 0] > 0).sum())}
    return row | spread(fpr.round(12), "improved", "worsened") | signs | {"mean_auroc_difference": mean(auroc)}


def clip_gap(
    pool: Pool, feature_based: str = "mahalanobis", logit_based: str = "max-logit", metric: str = "fpr95", **chosen: Any
) -> list[Row]:
    rows = [r for r in selected(pool, **chosen) if r["detector"] in {feature_based, logit_based}]
    wins = ("feature_wins", "logit_wins") if metric == "fpr95" else ("logit_wins", "feature_wins")
    answer = []
    for key, group in grouped(rows, "ood_dataset", "pretraining"):
        by_model = [{r["detector"]: r[metric] for r in of} for _, of in grouped(group, "model")]
        both = [of for of in by_model if len(of) == 2]
        gaps = np.array([of[feature_based] - of[logit_based] for of in both])
        row = {"models": len(both), "left_out": len(by_model) - len(both), "gap": mean(gaps)}
        row |= {"feature_value": mean(of[feature_based] for of in both)}
        row |= {"logit_value": mean(of[logit_based] for of in both)}
        answer.append(key | row | spread(gaps, *wins))
    return answer


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


def soup_vs_ingredients(pool: Pool, **chosen: Any) -> list[Row]:
    cells = {(r["model"], r["ood_dataset"], r["detector"]): r for r in selected(pool, **chosen)}
    answer = []
    for (model, *cell), whole in cells.items():
        names = whole["soup_of"]
        if names is None:
            continue
        parts = [cells[name, *cell] for name in sorted(names) if (name, *cell) in cells]
        best = min(parts, key=lambda r: (r["fpr95"], r["model"]), default=None)
        average = mean(r["fpr95"] for r in parts)
        row = {"soup": model, "ingredients": len(parts), "missing": len(names) - len(parts)}
        row |= {"best": best and best["model"], "best_fpr95": best and best["fpr95"], "mean_fpr95": average}
        row |= {"difference": None if average is None else whole["fpr95"] - average}
        row |= {f"mean_{name}": mean(r[name] for r in parts) for name in ("auroc", "accuracy")}
        answer.append(row | picked([whole], "ood_dataset detector fpr95 auroc accuracy")[0])
    return answer


def ensemble_gain(pool: Pool, **chosen: Any) -> list[Row]:
    cells = {(r["model"], r["detector"], r["ood_dataset"]): r for r in selected(pool, **chosen)}
    answer = []
    for (model, detector, ood), whole in cells.items():
        if whole["source"] != "ensemble":
            continue
        names = [tuple(name.split("/")) for name in json.loads(whole["recipe"])["ensemble_of"]]
        parts = [cells[*name, ood] for name in names if (*name, ood) in cells]
        best = min(parts, key=lambda r: (r["fpr95"], f"{r['model']}/{r['detector']}"), default=None)
        row = {"ensemble": model, "combination": detector, "members": len(parts), "missing": len(names) - len(parts)}
        row |= {"best": best and f"{best['model']}/{best['detector']}", "best_fpr95": best and best["fpr95"]}
        row |= {"gain": best and best["fpr95"] - whole["fpr95"], "mean_fpr95": mean(r["fpr95"] for r in parts)}
        row |= {"best_auroc": max((r["auroc"] for r in parts), default=None)}
        answer.append(row | picked([whole], "ood_dataset fpr95 auroc")[0])
    return answer


def per_class_difficulty(pool: Pool, threshold: float = 0.1, **chosen: Any) -> list[Row]:
    answer = []
    for key, group in grouped(selected(pool, aggregation="class", **chosen), "ood_dataset", "ood_class"):
        best = min(group, key=lambda r: (r["fpr95"], r["model"], r["detector"]))
        row = {"samples": group[0]["n_ood"], "judged": len(group)}
        row |= {"caught": sum(r["fpr95"] <= threshold for r in group), "mean_fpr95": mean(r["fpr95"] for r in group)}
        answer.append(key | row | {f"best_{name}": best[name] for name in ("fpr95", "model", "detector")})
    return answer


def coverage(pool: Pool, **chosen: Any) -> list[Row]:
    rows = selected(pool, aggregation="pooled", **chosen)
    answer = []
    for detector in sorted({r["detector"] for r in rows}):
        for dataset in ("ninco", "unit-tests"):
            cell = [r for r in rows if (r["detector"], r["ood_dataset"]) == (detector, dataset)]
            missing = sorted({model["model"] for model in pool.models} - {r["model"] for r in cell})
            row = {"detector": detector, "ood_dataset": dataset, "models": len(pool.models), "judged": len(cell)}
            row |= {"missing": len(missing), "first_missing": missing[0] if missing else None}
            row |= {
                "samples": DATASETS[dataset][1],
                "least_samples": min((int(r["n_ood"]) for r in cell), default=None),
            }
            answer.append(row)
    return answer


def geometry_predicts_fpr(pool: Pool, detector: str = "mahalanobis", **chosen: Any) -> list[Row]:
    rows = [r for r in selected(pool, detector=detector, **chosen) if r["model"] != "all-in-one"]
    held = {(g["model"], g["dataset"]): g for g in pool.geometry if g["fit_dataset"] == "fit"}
    answer = []
    for key, group in grouped(rows, "ood_dataset", "detector"):
        cell = []
        for measure in [*MEASURES, "ood_energy_outside"]:
            outside = measure == "ood_energy_outside"
            of, column = (key["ood_dataset"], "energy_outside") if outside else ("fit", measure)
            pairs = [(held.get((r["model"], of), {}).get(column), r["fpr95"], r["pretraining"]) for r in group]
            pairs = [pair for pair in pairs if pair[0] is not None]
            row = key | {"measure": measure, "models": len(pairs), "left_out": len(group) - len(pairs)}
            x, y = np.array([pair[:2] for pair in pairs], float).reshape(-1, 2).T
            row |= correlation("spearman", x, y) | correlation("pearson", x, y)
            known_ones = [pair for pair in pairs if pair[2] is not None]
            row |= pooled_within("spearman", *zip(*known_ones, strict=True)) if known_ones else NO_WITHIN
            groups = len({pair[2] for pair in known_ones})
            r, n = (
                (row["within"], len(known_ones) - groups + 1)
                if row["within"] is not None
                else (row["spearman"], len(x))
            )
            row["p"] = (
                None if r is None or n < 10 else float(2 * stats.t.sf(abs(r) * np.sqrt((n - 2) / (1 - r**2)), n - 2))
            )
            cell.append(row)
        holm(cell, "p")
        sizes = [None if row["spearman"] is None else round(abs(row["spearman"]), 9) for row in cell]
        for row, size in zip(cell, sizes, strict=True):
            row["place"] = None if size is None else 1 + sum(other > size for other in sizes if other is not None)
        answer += cell
    return answer


def published_comparison(pool: Pool, rows: str = "all", **chosen: Any) -> list[Row]:
    own = selected(pool, **chosen)
    answer = []
    for theirs in published.table().to_pylist():
        cell = f"timm:{theirs['timm_name']}", theirs["detector"], theirs["dataset"]
        found = [r for r in own if (r["source"], r["detector"], r["ood_dataset"]) == cell]
        row = {"published_model": theirs["model"], "detector": cell[1], "ood_dataset": cell[2]}
        row |= {f"published_{name}": theirs[name] for name in ("fpr95", "accuracy")}
        for r in found or ([{}] if rows == "all" else []):
            mine = {name: r.get(name) for name in ("model", "fpr95", "accuracy")}
            answer.append(row | mine | {"difference": r["fpr95"] - theirs["fpr95"] if r else None})
    return answer


def published_best_detector(_: Pool) -> list[Row]:
    rows = published.table().to_pylist()
    best = {r["model"]: r["fpr95"] for r in sorted(rows, key=lambda r: -r["fpr95"])}
    return [
        key
        | {
            "models": len(group),
            "wins": sum(r["fpr95"] == best[r["model"]] for r in group),
            "mean_fpr95": mean(r["fpr95"] for r in group),
        }
        for key, group in grouped(rows + [r | {"pretraining": "all"} for r in rows], "pretraining", "detector")
    ]


def published_accuracy_vs_fpr(_: Pool, detector: str = "all") -> list[Row]:
    rows = [r for r in published.table().to_pylist() if detector in {"all", r["detector"]}]
    return picked(rows, "model pretraining detector accuracy fpr95")
