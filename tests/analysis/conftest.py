"""Labelled features on which fast paths meet their slow twins: random, degenerate and real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.datasets import load_digits

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Labelled:
    features: np.ndarray
    labels: np.ndarray
    num_classes: int


def clustered(seed: int, rows: int, dim: int, classes: int, apart: float = 3.0) -> Labelled:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, rows)
    features = rng.normal(size=(rows, dim)) * rng.uniform(0.5, 2, dim) + apart * rng.normal(size=(classes, dim))[labels]
    return Labelled(features, labels, classes)


def changed(change: Callable[[np.ndarray], np.ndarray], **shape: float) -> Labelled:
    case = clustered(**({"seed": 3, "rows": 300, "dim": 9, "classes": 4} | shape))
    return Labelled(change(case.features), case.labels, case.num_classes)


def class_of_one() -> Labelled:
    case = clustered(5, 200, 6, 3)
    return Labelled(case.features, np.where(np.arange(200) == 17, 3, case.labels), 4)


def class_of_none() -> Labelled:
    case = clustered(6, 200, 6, 3)
    return Labelled(case.features, np.where(case.labels == 1, 4, case.labels), 6)


def digits(below: int = 7) -> Labelled:
    bunch = load_digits()
    kept = bunch.target < below
    return Labelled(bunch.data[kept].astype(np.float32), bunch.target[kept], below)


CASES: dict[str, Callable[[], Labelled]] = {
    "random": lambda: clustered(0, 500, 8, 5),
    "one class": lambda: clustered(1, 100, 5, 1),
    "one dimension": lambda: clustered(2, 100, 1, 3),
    "class of one sample": class_of_one,
    "class without samples": class_of_none,
    "fewer samples than dimensions": lambda: clustered(4, 20, 40, 3),
    "collinear": lambda: changed(lambda h: np.column_stack([h, h[:, 0] - 2 * h[:, 1]])),
    "duplicate": lambda: changed(lambda h: np.column_stack([h, h[:, 4]])),
    "constant": lambda: changed(lambda h: np.column_stack([h, np.full(len(h), 0.1)])),
    "huge": lambda: changed(lambda h: h * 1e100),
    "tiny": lambda: changed(lambda h: h * 1e-100),
    "offset": lambda: changed(lambda h: h + 1e4),
    "collapsed": lambda: changed(lambda h: h, apart=1e5),
    "float16": lambda: changed(lambda h: h.astype(np.float16)),
    "float32": lambda: changed(lambda h: h.astype(np.float32)),
    "digits": digits,
}


@pytest.fixture(params=CASES)
def labelled(request: pytest.FixtureRequest) -> Labelled:
    return CASES[request.param]()


@pytest.fixture(scope="session")
def seven_digits() -> Labelled:
    return digits()


@pytest.fixture(scope="session")
def other_digits() -> np.ndarray:
    bunch = load_digits()
    return bunch.data[bunch.target >= 7].astype(np.float32)
