"""The golden answer of the question on ranks of detectors, with scipy's Friedman test."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from tests.sql.answers.rows import checkpoint_of, holm, selected

if TYPE_CHECKING:
    from tests.sql.answers.rows import Row
    from tests.sql.pool import Pool


def detector_ranks(pool: Pool, metric: str = "fpr95", **chosen: Any) -> list[Row]:
    rows = [row for row in selected(pool, **chosen) if row["source"] != "ensemble"]
    models_of: dict[str, set[str]] = {}
    for row in rows:
        models_of.setdefault(row["detector"], set()).add(row["model"])
    most = max(map(len, models_of.values()), default=0)
    detectors = sorted(name for name, models in models_of.items() if 2 * len(models) >= most)
    cells = {(r["model"], r["ood_dataset"], r["detector"]): r[metric] for r in rows if r["detector"] in detectors}
    sets = sorted({ood for _, ood, _ in cells})
    asked = {row["model"]: checkpoint_of(row) for row in rows}
    whole = [model for model in asked if all((model, ood, name) in cells for ood in sets for name in detectors)]
    if not whole:
        return []
    blocks: dict[Any, list[str]] = {}
    for model in whole:
        blocks.setdefault(asked[model], []).append(model)
    values = np.array(
        [[[np.mean([cells[m, ood, d] for m in of]) for d in detectors] for ood in sets] for of in blocks.values()]
    ).reshape(-1, len(sets), len(detectors))
    sign = 1 if metric == "fpr95" else -1
    within = stats.rankdata((sign * values).round(12), axis=2).mean(axis=1).round(9)
    ranks = stats.rankdata(within, axis=1)
    return _rows(
        detectors,
        ranks,
        values.mean(axis=(0, 1)),
        {
            "checkpoints": len(blocks),
            "models": len(whole),
            "ood_datasets": len(sets),
            "left_out": len(asked) - len(whole),
            "unranked": len(models_of) - len(detectors),
        },
    )


def _rows(detectors: list[str], ranks: Any, values: Any, counts: Row) -> list[Row]:
    n, k = ranks.shape
    means, statistic, p, error = ranks.mean(axis=0), None, None, None
    if n > 1 and np.ptp(ranks, axis=1).any():
        centred = ranks - (k + 1) / 2
        statistic = float((k - 1) * (centred.sum(axis=0) ** 2).sum() / (centred**2).sum())
        if k > 2:
            assert np.allclose(statistic, stats.friedmanchisquare(*ranks.T).statistic)
        p = float(stats.chi2.sf(statistic, k - 1))
        error = np.sqrt(2 * (centred**2).sum() / n / (k - 1) / n)
    pairs = [
        {"of": {a, b}, "p": None if error is None else float(2 * stats.norm.sf(abs(means[a] - means[b]) / error))}
        for a, b in combinations(range(k), 2)
    ]
    holm(pairs, "p")
    answer = []
    for at, name in enumerate(detectors):
        alike = [
            other
            for other in sorted(range(k), key=lambda i: (round(means[i], 9), detectors[i]))
            for pair in pairs
            if pair["of"] == {at, other} and (pair["p_holm"] is None or pair["p_holm"] >= 0.05)
        ]
        row = {"detector": name, "mean_rank": means[at], "mean_value": values[at], "statistic": statistic, "p": p}
        row |= {"alike": [detectors[i] for i in alike], "told_apart": k - 1 - len(alike)}
        answer.append(row | counts)
    return answer
