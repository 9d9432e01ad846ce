"""Golden answers of the questions on single samples, worked out in numpy from the pool's scores and logits."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from tests.sql.pool import CLASSES, DATASETS, digests

if TYPE_CHECKING:
    from tests.sql.answers.rows import Row
    from tests.sql.pool import Pool

    Scores = dict[tuple[str, str, str], np.ndarray]


def by_cell(pool: Pool, column: str = "score") -> Scores:
    """Numbers in order of sample, by model, detector and dataset."""
    found = defaultdict(list)
    for row in pool.scores:
        found[row["model"], row["detector"], row["dataset"]].append(row[column])
    return {key: np.array(values) for key, values in found.items()}


def threshold(scores: Scores, model: str, detector: str, tpr: float) -> float:
    return float(np.quantile(scores[model, detector, "id"], round(1 - tpr, 12)))


def detector_agreement(pool: Pool, ood: str = "all", model: str = "all") -> list[Row]:
    scores = by_cell(pool)
    found: dict[tuple[str, str, str], list[float | None]] = defaultdict(list)
    for name in sorted({key[0] for key in scores}):
        for dataset in ("ninco", "unit-tests"):
            for first, second in itertools.combinations(sorted({key[1] for key in scores if key[0] == name}), 2):
                a, b = scores[name, first, dataset], scores[name, second, dataset]
                constant = len(set(a)) == 1 or len(set(b)) == 1
                if ood in {"all", dataset} and model in {"all", name}:
                    found[dataset, first, second].append(None if constant else stats.spearmanr(a, b).statistic)
    answer = []
    for (dataset, first, second), values in found.items():
        known = [value for value in values if value is not None]
        row = {"ood_dataset": dataset, "first": first, "second": second}
        row |= {"models": len(values), "left_out": len(values) - len(known)}
        row |= {"lowest": min(known, default=None), "highest": max(known, default=None)}
        answer.append(row | {"mean_spearman": np.mean(known) if known else None})
    return answer


def confused_with(
    pool: Pool,
    model: str = "all",
    detector: str = "mahalanobis",
    ood: str = "ninco",
    ood_class: str = "all",
    tpr: float = 0.95,
    top: int = 3,
) -> list[Row]:
    scores = by_cell(pool)
    taken: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for row in pool.logits:
        name, sample = row["model"], row["sample"]
        class_name = CLASSES[ood][sample]
        accepted = scores[name, detector, ood][sample] >= threshold(scores, name, detector, tpr)
        if accepted and model in {"all", name} and ood_class in {"all", class_name}:
            taken[class_name].append((int(np.argmax(row["logits"])), name))
    answer = []
    for class_name, found in taken.items():
        counts = Counter(label for label, _ in found)
        for place, (label, count) in enumerate(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top], 1):
            row = {"ood_class": class_name, "accepted": len(found), "place": place, "label": label, "taken": count}
            row |= {"class_name": f"id-{label}" if label < 3 else None, "share": count / len(found)}
            answer.append(row | {"models": len({name for its, name in found if its == label})})
    return answer


def hardest_samples(
    pool: Pool, ood: str = "ninco", detector: str = "all", tpr: float = 0.95, top: int = 20
) -> list[Row]:
    scores, ranks = by_cell(pool), by_cell(pool, "id_rank")
    cells = [key for key in scores if key[2] == ood and detector in {"all", key[1]}]
    if not cells:
        return []
    accepted = np.array([scores[key] >= threshold(scores, key[0], key[1], tpr) for key in cells]).sum(axis=0)
    rank = np.array([ranks[key] for key in cells]).mean(axis=0)
    rows = [
        {
            "sample": sample,
            "ood_class": CLASSES[ood][sample],
            "image": f"/images/{ood}/{CLASSES[ood][sample]}/{sample}.png",
            "member": None,
            "judged": len(cells),
            "accepted": int(accepted[sample]),
            "mean_id_rank": rank[sample],
        }
        for sample in range(len(rank))
    ]
    return sorted(rows, key=lambda r: (-r["accepted"], -round(r["mean_id_rank"], 9), r["sample"]))[:top]


def overlaps(pool: Pool, benchmark: str = "all") -> list[Row]:
    """By comparing each sample with each other one."""
    # From what detectors learn from to what they judge.
    names = ["fit", "id", "ninco", "unit-tests"] if pool.models else []
    seriousness = {("id", "fit"): 1, ("ood", "id"): 1, ("ood", "fit"): 2, ("ood", "ood"): 4}
    answer = []
    for (place, name), (other_place, other) in itertools.product(enumerate(names), repeat=2):
        mine, theirs = digests(name), digests(other)
        if place < other_place:
            continue

        def again(samples: list[Any], others: list[Any], *, same: bool = name == other) -> int:
            return sum(
                any(one == two and not (same and n == m) for m, two in enumerate(others))
                for n, one in enumerate(samples)
                if one is not None
            )

        if not again(mine, theirs):
            continue
        roles = DATASETS[name][0], DATASETS[other][0]
        row = {"seriousness": 5 if name == other else seriousness[roles], "dataset": name, "role": roles[0]}
        row |= {"other_dataset": other, "other_role": roles[1], "samples": again(mine, theirs)}
        row |= {"other_samples": again(theirs, mine), "share": again(mine, theirs) / len(mine)}
        answer += [row | {"benchmark": b} for b in ("main", "other") if benchmark in {"all", b}]
    return answer
