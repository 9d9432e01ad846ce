from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from analysis.detectors.shaping.weiper import drawn
from analysis.rows.activations import normalise
from analysis.statistics.sampled_rows import sampled_rows
from tests.analysis.conftest import CASES
from tests.analysis.gathered import gathered, scored
from tests.analysis.modelled import Modelled, headed, modelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[Any]

NAME = "weiper@repeats=3,bins=12,smooth={},smooth_logits=5"
# Where the features are too large for their weights, or no histogram can be made of them, there is nothing to compare.
ORDINARY = [name for name in CASES if name not in ("huge", "tiny")]


def shares(values: Float64, edges: Float64) -> Float64:
    """Shares of values between edges, of all values."""
    return np.histogram(values, edges)[0] / values.size


def smoothed(values: Float64, width: int) -> Float64:
    """Each bin as the mean of those about it, the ends repeated."""
    before, last = (width - 1) // 2, len(values) - 1
    return np.array(
        [np.mean([values[min(max(i + o - before, 0), last)] for o in range(width)]) for i in range(len(values))]
    )


def divergence(first: Float64, second: Float64, floor: float) -> float:
    p, q = ((part + floor) / (part + floor).sum() for part in (first, second))
    return float(sum(a * np.log(a / b) + b * np.log(b / a) for a, b in zip(p, q, strict=True)))


def naive_weiper(model: Modelled, smooth: int) -> Float64:
    """The formula with numpy's histograms, one query at a time."""
    head = model.head
    directions = drawn(3, *head.weight.shape).astype(float)
    weights = [head.weight + 1.8 * np.linalg.norm(head.weight, axis=1)[:, None] * own for own in directions]
    fit, queries = (
        normalise(part.feature) if head.normalizes else part.feature.astype(float)
        for part in (model.rows, model.queries)
    )
    everything = np.stack([fit @ w.T + head.bias for w in weights])
    logits = np.linspace(everything.min(), everything.max() + 1e-8, 13)
    entries = np.linspace(fit.min(), fit.max() + 1e-8, 13)
    scores = []
    for h in queries:
        z = np.stack([w @ h + head.bias for w in weights])
        p = np.exp(z - z.max(axis=1, keepdims=True))
        score = 0.1 * np.mean(p.max(axis=1) / p.sum(axis=1))
        score -= divergence(shares(fit, entries), smoothed(shares(h, entries), smooth), 0.01)
        score -= 2.5 * divergence(shares(everything, logits), smoothed(shares(z, logits), 5), 0.025)
        scores.append(score)
    return np.array(scores)


@pytest.mark.parametrize(("case", "normalizes"), [*((name, False) for name in ORDINARY), ("random", True)])
def test_weiper_equals_the_formula(case: str, normalizes: bool) -> None:
    """On random, degenerate and real features; an even width reaches one bin further ahead."""
    labelled = CASES[case]()
    model = modelled(labelled, normalizes=normalizes)
    for smooth in (3, 4):
        fast = scored(NAME.format(smooth), model.rows, model.labels, model.queries, classes=labelled.num_classes)
        assert_allclose(fast, naive_weiper(model, smooth), rtol=1e-9, atol=1e-11)


def test_directions_are_the_same_ones_always() -> None:
    """Of length 1; the first ones are as they were when this was written."""
    directions = drawn(2, 3, 5)
    assert_allclose(np.linalg.norm(directions, axis=2), 1, rtol=1e-6)
    assert_allclose(directions[0, 0], [0.1177023, -0.2060957, -0.5843971, -0.716063, 0.2990059], rtol=1e-6)
    assert_array_equal(drawn(1, 3, 5)[0], directions[0])


def test_a_sample_has_no_more_rows_than_wanted() -> None:
    """And all of them where there are fewer."""
    case = headed(3, rows=300)
    for most, kept in ((40, 40), (1000, 300)):
        statistic = sampled_rows("some", 1.0, energy=False, most=most)
        found = gathered([statistic], case.rows, case.labels, shards=3)["some"]
        assert found["feature"].shape == (kept, 12)
        assert_array_equal(found["feature"], case.rows.feature[found["sample"]])
