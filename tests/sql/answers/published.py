"""Golden answers of the questions on published numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from featurestore.query import published
from tests.sql.answers.rows import grouped, mean, picked, selected

if TYPE_CHECKING:
    from tests.sql.answers.rows import Row
    from tests.sql.pool import Pool


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
