"""Mahalanobis distances the published way: a mean of each class in a loop, scikit-learn's covariance, a loop over samples and classes."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from sklearn.covariance import EmpiricalCovariance

from analysis.algebra.class_accumulators import ClassStatisticsAccumulator
from analysis.algebra.gaussian import fit_gaussian, squared_distance
from benchmarks.lakes.imagenet import CLASSES, MODEL, WIDTH
from benchmarks.measure import in_turns
from featurestore import Lake

if TYPE_CHECKING:
    from benchmarks.record import Record


def _in_memory(location: str, dataset: str, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples at equal distances, so that all classes take part."""
    lake = Lake(location)
    _, part = lake.part("activations", model=MODEL, dataset=dataset)
    wanted = np.zeros(part.rows, bool)
    wanted[np.linspace(0, part.rows - 1, rows).astype(int)] = True
    labels, features, start = [], [], 0
    for label, feature in lake.batches(model=MODEL, dataset=dataset, columns=("label", "feature")):
        chosen = wanted[start : start + len(label)]
        labels.append(label[chosen])
        features.append(feature[chosen])
        start += len(label)
    return np.concatenate(labels), np.concatenate(features)


def naive(label: np.ndarray, feature: np.ndarray, query: np.ndarray) -> tuple[float, float]:
    """The published way, in a loop over samples and classes; seconds of fit and of scores."""
    start = time.perf_counter()
    features = feature.astype(np.float64)
    means = np.stack([features[label == c].mean(axis=0) for c in range(CLASSES)])
    centred = np.concatenate([features[label == c] - means[c] for c in range(CLASSES)])
    precision = EmpiricalCovariance(assume_centered=True).fit(centred).precision_
    fitted = time.perf_counter()
    scores = [-np.min([(q - m) @ precision @ (q - m) for m in means]) for q in query.astype(np.float64)]
    assert np.isfinite(scores).all()
    return fitted - start, time.perf_counter() - fitted


def ours(label: np.ndarray, feature: np.ndarray, query: np.ndarray) -> tuple[float, float]:
    """The same with the product's own functions."""
    start = time.perf_counter()
    accumulator = ClassStatisticsAccumulator(CLASSES, WIDTH)
    for at in range(0, len(label), 2048):
        accumulator.update(feature[at : at + 2048], label[at : at + 2048])
    fit = fit_gaussian(accumulator.finish())
    fitted = time.perf_counter()
    assert np.isfinite(squared_distance(fit, query.astype(np.float64))).all()
    return fitted - start, time.perf_counter() - fitted


def bench_naive(record: Record, location: str, rows: int, queries: int, rounds: int) -> None:
    """Beside the published way, in one process on the same arrays."""
    label, feature = _in_memory(location, "train", rows)
    _, query = _in_memory(location, "val", queries)
    sides = {"the published way": partial(naive, label, feature, query), "ours": partial(ours, label, feature, query)}
    runs = in_turns(rounds, **sides)
    for number, title in enumerate((f"Fit of {rows:,} rows in memory", f"Scores of {queries:,} rows")):
        with record.table(title) as table:
            for name, of in runs.items():
                table.add(name, [seconds[number] for seconds in of])
            table.ratio("ours", "the published way", column="of the published way's time")
