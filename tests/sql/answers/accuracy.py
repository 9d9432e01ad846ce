"""Golden answers of the questions on accuracy, unit-tests and classes, in plain Python and numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.sql.answers.rows import (
    correlation_verdict,
    fisher,
    grouped,
    holm,
    mean,
    pearson,
    picked,
    rank_correlation,
    selected,
    units,
)
from tests.sql.pool import DATASETS

if TYPE_CHECKING:
    from tests.sql.answers.rows import Row
    from tests.sql.pool import Pool

NO_CORRELATION = fisher("pearson", None, 0) | fisher("spearman", None, 0) | {"p": None}
COLOURS = "weight_decay finetune_lr augmentation"


def verdict(row: Row, above: float) -> str | None:
    """What the interval says of the limit; nothing where there is none."""
    if row["fpr95_low"] is None:
        return None
    if row["fpr95_low"] > above:
        return "fails"
    return "passes" if row["fpr95_high"] <= above else "undecided"


def verdicts(rows: list[Row], above: float = 0.1) -> Row:
    found = [verdict(row, above) for row in rows]
    return {name: None if None in found else found.count(name) for name in ("fails", "undecided")}


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
        | verdicts(group)
        for key, group in grouped(
            selected(pool, aggregation="class", ood=unit_tests, **chosen),
            "model",
            "pretraining",
            "detector",
            "accuracy",
            *COLOURS.split(),
        )
    ]


def accuracy_vs_ninco_fpr(pool: Pool, ood: str = "ninco", metric: str = "fpr95", **chosen: Any) -> list[Row]:
    rows = [row | {"value": row[metric]} for row in selected(pool, ood=ood, **chosen)]
    return picked(rows, "model pretraining detector accuracy fpr95 auroc value n_ood " + COLOURS)


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
                "fails": tests["fails"],
                "undecided": tests["undecided"],
            }
            answer += picked([row | more], f"model pretraining {COLOURS} detector accuracy fpr95 {' '.join(more)}")
    return answer


def accuracy_fpr_correlation(pool: Pool, metric: str = "fpr95", **chosen: Any) -> list[Row]:
    rows, answer = selected(pool, **chosen), []
    for key, every in grouped(rows, "ood_dataset", "detector"):
        each = [(of["pretraining"], group) for of, group in grouped(every, "pretraining")]
        scopes = [("one", name, [group]) for name, group in each] + [("all", "all", [every])]
        scopes.append(("within", "pooled within", [group for name, group in each if name is not None]))
        cell = []
        for kind, name, groups in scopes:
            known = [[r for r in group if r["accuracy"] is not None] for group in groups]
            strata = [units(group, "accuracy", metric) for group in known if group]
            models = sum(map(len, known))
            if not groups or (kind == "within" and not strata):
                continue
            row = key | {"kind": kind, "pretraining": name, "models": models}
            row["left_out"] = (len(groups[0]) if kind == "one" else len(every)) - models
            row |= (pearson(strata) | rank_correlation("spearman", strata)) if strata else NO_CORRELATION
            if kind == "within":
                row |= {"pearson_low": None, "pearson_high": None}
            cell.append(row | {"n": sum(map(len, strata))})
        told = {row["kind"]: row["spearman"] for row in cell if row["kind"] != "one"}
        for row in cell:
            other = told.get("within" if row["kind"] == "all" else "all")
            row["signs_differ"] = None if None in (other, row["spearman"]) else round(row["spearman"] * other, 12) < 0
        answer += cell
    for _, family in grouped(answer, "ood_dataset", "kind"):
        holm(family, "p")
    for row in answer:
        del row["kind"]
        row["verdict"] = correlation_verdict(row, "spearman")
    return answer


def high_accuracy_failures(
    pool: Pool, unit_tests: str = "unit-tests", top: int = 5, threshold: float = 0.1
) -> list[Row]:
    rows = selected(pool, aggregation="class", ood=unit_tests)
    accuracies = {r["model"]: r["accuracy"] for r in rows}
    ranked = [name for name, accuracy in accuracies.items() if accuracy is not None]
    leaders = sorted(ranked, key=lambda name: (-accuracies[name], name))[:top]
    of_leaders = [r for r in rows if r["model"] in leaders]
    answer = []
    for key, every in grouped(of_leaders, "model", "accuracy", "detector"):
        group = [r for r in every if r["fpr95"] > threshold]
        if not group:
            continue
        worst_first = sorted(group, key=lambda r: (-r["fpr95"], r["ood_class"]))
        failures = [r["ood_class"] for r in worst_first]
        row = {"failed": len(group), "worst": failures[0], "worst_fpr95": worst_first[0]["fpr95"]}
        row |= verdicts(every, threshold)
        answer.append(key | row | {"failures": failures, "left_out": len(accuracies) - len(ranked)})
    return answer


def unit_test_heatmap(
    pool: Pool, unit_tests: str = "unit-tests", detector: str = "mahalanobis", metric: str = "fpr95"
) -> list[Row]:
    rows = selected(pool, aggregation="class", ood=unit_tests, detector=detector)
    rows = [r | {"unit_test": r["ood_class"], "failed": r["fpr95"] > 0.1, "value": r[metric]} for r in rows]
    rows = [r | {"verdict": verdict(r, 0.1)} for r in rows]
    return picked(rows, "model unit_test fpr95 fpr95_low fpr95_high failed verdict value")


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
