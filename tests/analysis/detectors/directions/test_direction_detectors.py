from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import softmax

from analysis.rows.activations import Activations, normalise
from analysis.rows.head import Head
from featurestore.errors import NumericalError
from tests.analysis.conftest import clustered
from tests.analysis.gathered import scored
from tests.analysis.modelled import Modelled, activations_of, modelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tests.analysis.conftest import Labelled

    Float64 = NDArray[Any]

NAMES = ["cosine", "rcos", "ctm", "ssc", "fdbd", "ora", "nci", "nan-ratio"]
VARIANTS = ["ssc@temperature=0.01", "nci@alpha=0.5"]


def cosine(first: Float64, second: Float64) -> float:
    first, second = first / np.abs(first).max(), second / np.abs(second).max()
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def on_boundary(h: Float64, z: Float64, w: Float64, y: int, c: int) -> Float64:
    """The feature projected onto where the logits of two classes are equal."""
    apart = w[y] - w[c]
    return h - (z[y] - z[c]) / (apart @ apart) * apart if c != y else h


def to_boundaries(z: Float64, w: Float64, y: int) -> float:
    """Sum of the distances to the boundaries with all other classes."""
    return sum((z[y] - z[c]) / np.linalg.norm(w[y] - w[c]) for c in range(len(w)) if c != y)


def along(away: Float64, weight: Float64) -> float:
    """The part of a weight vector along a difference."""
    return float(weight @ away / np.linalg.norm(away))


def angle(first: Float64, second: Float64, origin: Float64) -> float:
    """The angle between two points, seen from an origin, as a share of half a turn (Kahan's formula, for small ones too)."""
    first, second = (np.asarray(one - origin) for one in (first, second))
    first, second = first / np.linalg.norm(first), second / np.linalg.norm(second)
    return float(2 * np.arctan2(np.linalg.norm(first - second), np.linalg.norm(first + second)) / np.pi)


def naive_scores(name: str, model: Modelled) -> Float64:
    """The formulas, one query and one class at a time."""
    features, labels, head = model.rows.feature.astype(float), model.labels, model.head
    means = [features[labels == c].mean(axis=0) for c in np.unique(labels)]
    fed = normalise(features) if head.normalizes else features
    mean, w = fed.mean(axis=0), head.weight
    fed_mean = np.mean([fed[labels == c].mean(axis=0) for c in np.unique(labels)], axis=0)
    scores = []
    for row, z in zip(model.queries.feature.astype(float), model.queries.logits64, strict=True):
        h = row / np.linalg.norm(row) if head.normalizes else row
        y = int(z.argmax())
        formulas: dict[str, Callable[[], Any]] = {
            "cosine": lambda row=row: max(cosine(row, m) for m in means),
            "rcos": lambda row=row: softmax([cosine(row, m) for m in means]).max(),
            "ctm": lambda row=row: max(cosine(row, c) for c in w),
            "ssc": lambda row=row: softmax([cosine(row, c) for c in w]).max(),
            "ssc@temperature=0.01": lambda row=row: softmax([cosine(row, c) / 0.01 for c in w]).max(),
            "fdbd": lambda h=h, z=z, y=y: to_boundaries(z, w, y) / np.linalg.norm(h - mean),
            "ora": lambda h=h, z=z, y=y: max(angle(h, on_boundary(h, z, w, y, c), fed_mean) for c in range(len(w))),
            "nci": lambda h=h, y=y: along(h - mean, w[y]) + 1e-4 * np.abs(h).sum(),
            "nci@alpha=0.5": lambda h=h, y=y: along(h - mean, w[y]) + 0.5 * np.abs(h).sum(),
            "nan-ratio": lambda row=row: np.abs(row).sum() / (row != 0).sum(),
        }
        scores.append(formulas[name]())
    return np.array(scores)


@pytest.mark.parametrize("normalizes", [False, True])
@pytest.mark.parametrize("name", NAMES + VARIANTS)
def test_scores_equal_the_formula(name: str, normalizes: bool, labelled: Labelled) -> None:
    """On random, degenerate and real features, for heads that are fed h and heads that are fed its direction."""
    model = modelled(labelled, normalizes=normalizes)
    fast = scored(name, model.rows, model.labels, model.queries, classes=labelled.num_classes)
    # The sine of a tiny angle is the root of a difference of squares.
    close = 1e-7 if name == "ora" else 1e-12
    assert_allclose(fast, naive_scores(name, model), rtol=1e-9, atol=close)


def test_many_classes_give_the_same_boundaries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the matrix of all pairs of classes would be too large, the rows that a block needs are computed."""
    model = modelled(clustered(3, 100, 8, 6))
    before = scored("fdbd", model.rows, model.labels, model.queries, classes=6)
    angles = scored("ora", model.rows, model.labels, model.queries, classes=6)
    monkeypatch.setattr("analysis.detectors.directions.boundaries._CLASSES_AT_ONCE", 5)
    head = Head(model.head.weight, model.head.bias)
    rows, queries = (activations_of(part.feature, head) for part in (model.rows, model.queries))
    assert_allclose(scored("fdbd", rows, model.labels, queries, classes=6), before, rtol=1e-12)
    assert_allclose(scored("ora", rows, model.labels, queries, classes=6), angles, rtol=1e-12)


@pytest.mark.parametrize("name", ["fdbd", "ora"])
def test_two_classes_of_equal_weights_have_no_boundary(name: str) -> None:
    """Both classes are named."""
    head = Head(np.array([[1.0, 2], [0, 1], [3, 1], [0, 1]]), np.arange(4.0))
    rows = activations_of(np.random.default_rng(0).normal(size=(9, 2)), head)
    with pytest.raises(NumericalError, match="Classes 1 and 3 have the same weights"):
        scored(name, rows, np.arange(9) % 4, rows)


def test_directions_need_means_and_weights_that_are_not_zero() -> None:
    """The class is named."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(10, 3))
    features[1::2] *= 0
    head = Head(np.array([[1.0, 0, 0], [0, 0, 0]]), np.zeros(2))
    rows = Activations(features, rng.normal(size=(10, 2)), head)
    with pytest.raises(NumericalError, match="mean feature of class 1 is zero"):
        scored("cosine", rows, np.arange(10) % 2, rows)
    for name in ("ctm", "ssc"):
        with pytest.raises(NumericalError, match="weight vector of class 1 is zero"):
            scored(name, rows, np.arange(10) % 2, rows)


@pytest.mark.parametrize(("name", "what"), [("nan-ratio", "scores row 2"), ("cosine", "row 2 of the block is zero")])
def test_a_feature_of_zeros_is_an_error(name: str, what: str) -> None:
    """It has neither a direction nor an entry to average."""
    rows = Activations(np.random.default_rng(0).normal(size=(5, 3)))
    queries = Activations(np.where(np.arange(5)[:, None] == 2, 0.0, rows.feature))
    with pytest.raises(NumericalError, match=what):
        scored(name, rows, np.zeros(5, int), queries)
