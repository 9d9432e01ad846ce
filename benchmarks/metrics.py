"""FPR95, AUROC and both areas under precision and recall of one OOD set, pooled and for each of its classes, in one process with two libraries.

Sizes are ImageNet's and NINCO's. scikit-learn and torchmetrics take scores and labels of each class anew; ours puts the ID scores in order once.
AUROC agrees with scikit-learn's within 1e-9, and with torchmetrics', which computes in float32, within 1e-4, or the benchmark fails.

python -m benchmarks.metrics [--id 50000] [--ood 5879] [--classes 64] [--rounds 3]
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.metrics import auc, precision_recall_curve, roc_auc_score, roc_curve

from analysis.metrics.groups import IdReference
from analysis.metrics.ood_metrics import OodClasses, dataset_metrics
from benchmarks.measure import in_turns
from benchmarks.record import Record, arguments

try:
    from torchmetrics.functional import classification as torchmetrics
except ModuleNotFoundError:
    torchmetrics = None

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def ours(id_scores: Floats, ood_scores: Floats, of: NDArray[np.int64]) -> list[float]:
    """AUROC of each class, then pooled; all other metrics are computed, too."""
    rows = dataset_metrics(IdReference.of(id_scores), ood_scores, OodClasses.of(f"{number:03d}" for number in of))
    return [row.metrics.auroc for row in rows if row.aggregation != "class_mean"]


def _groups(id_scores: Floats, ood_scores: Floats, of: NDArray[np.int64]) -> Iterator[tuple[Floats, NDArray[np.int64]]]:
    """Scores and labels of each class, then of all."""
    for chosen in (*(ood_scores[of == number] for number in range(of.max() + 1)), ood_scores):
        labels = np.repeat([1, 0], [len(id_scores), len(chosen)])
        yield np.concatenate([id_scores, chosen]), labels


def by_sklearn(id_scores: Floats, ood_scores: Floats, of: NDArray[np.int64]) -> list[float]:
    """The same by scikit-learn."""
    found = []
    for scores, labels in _groups(id_scores, ood_scores, of):
        found.append(float(roc_auc_score(labels, scores)))
        for positive, sign in ((labels, 1), (1 - labels, -1)):
            precision, recall, _ = precision_recall_curve(positive, sign * scores)
            assert auc(recall, precision)
            accepted, caught, _ = roc_curve(positive, sign * scores, drop_intermediate=False)
            assert accepted[np.argmax(caught >= 0.95)] >= 0
    return found


def by_torchmetrics(id_scores: Floats, ood_scores: Floats, of: NDArray[np.int64]) -> list[float]:
    """The same by torchmetrics, whose area under precision and recall is the average precision."""
    found = []
    for scores, labels in _groups(id_scores, ood_scores, of):
        logits, positive = torch.from_numpy(scores), torch.from_numpy(labels)
        found.append(float(torchmetrics.binary_auroc(logits, positive)))
        for target, given in ((positive, logits), (1 - positive, -logits)):
            assert torchmetrics.binary_average_precision(given, target)
            accepted, caught, _ = torchmetrics.binary_roc(given, target)
            assert accepted[torch.argmax((caught >= 0.95).int())] >= 0
    return found


def timed(run: Callable[[], list[float]]) -> tuple[float, list[float]]:
    """Seconds, and what it gave."""
    start = time.perf_counter()
    given = run()
    return time.perf_counter() - start, given


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--id", type=int, default=50_000)
    parser.add_argument("--ood", type=int, default=5_879)
    parser.add_argument("--classes", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = arguments(parser, id=500, ood=60, classes=4, rounds=1)
    record = Record("metrics", options)
    rng = np.random.default_rng(0)
    # Logits: of float32 numbers, so that torchmetrics has the same ones, and beyond [0, 1], which it takes for probabilities.
    id_scores, ood_scores = (
        rng.normal(mean, 2, count).astype(np.float32).astype(np.float64)
        for mean, count in ((10.0, options.id), (6.0, options.ood))
    )
    given = id_scores, ood_scores, np.arange(options.ood) % options.classes
    sides = {"ours": ours, "scikit-learn": by_sklearn} | ({"torchmetrics": by_torchmetrics} if torchmetrics else {})
    taken = in_turns(options.rounds, **{name: partial(timed, partial(run, *given)) for name, run in sides.items()})
    for name, within in (("scikit-learn", 1e-9), ("torchmetrics", 1e-4)):
        if name in taken:
            np.testing.assert_allclose(taken["ours"][-1][1], taken[name][-1][1], atol=within, rtol=0)
    with record.table(f"{options.id:,} ID and {options.ood:,} OOD scores of {options.classes} classes") as table:
        for name, runs in taken.items():
            table.add(name, [seconds for seconds, _ in runs])
        for name in [name for name in taken if name != "ours"]:
            table.ratio("ours", name, column=f"of {name}'s time")
        if not torchmetrics:
            table.absent("torchmetrics", "is not installed: make .venv/bench.stamp")
    record.close()


if __name__ == "__main__":
    main()
