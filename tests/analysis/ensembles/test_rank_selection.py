"""Combining models: against the obvious way, and on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.ensembles.rank_selection import (
    Ranks,
    forward_selection,
    fpr,
    halves,
    mean_of,
    separation_weights,
    weighted,
)
from tests.analysis.metrics.oracle import judged_by_class


def random_ranks(models: int = 5, seed: int = 0) -> Ranks:
    generator = np.random.default_rng(seed)
    classes = np.sort(generator.integers(0, 4, 60))
    return Ranks(
        generator.random((models, 100)),
        generator.random((models, 60)) * 0.8,
        np.unique(classes, return_inverse=True)[1],
    )


def test_the_fpr_is_that_of_the_stored_metrics() -> None:
    ranks = random_ranks()
    found = fpr(ranks.id, ranks.ood, ranks.classes)
    for model in range(5):
        rows = judged_by_class(ranks.id[model], ranks.ood[model], ranks.classes.astype(str))
        (expected,) = (row.metrics.fpr95 for row in rows if row.aggregation == "class_mean")
        assert found[model] == pytest.approx(expected)
        assert mean_of(ranks, [model]) == pytest.approx(expected)
    assert weighted(ranks, np.full(5, 0.2)) == pytest.approx(mean_of(ranks, range(5)))


def test_forward_selection_takes_the_best_at_each_step() -> None:
    """Against trying every model at every step with the plain function."""
    ranks = random_ranks(6, seed=3)
    order = forward_selection(ranks, 4)
    assert len(set(order)) == 4
    for size in range(1, 5):
        tried = [mean_of(ranks, [*order[: size - 1], model]) for model in range(6) if model not in order[: size - 1]]
        assert mean_of(ranks, order[:size]) == pytest.approx(min(tried))
    assert len(forward_selection(ranks, 99)) == 6


def test_two_models_that_fail_on_different_classes_help_each_other() -> None:
    """Each accepts one class fully; their mean accepts less, and greedy finds the pair."""
    of_id = np.tile(np.linspace(0, 1, 200), (3, 1))
    classes = np.repeat([0, 1], 50)
    ood = np.array([np.where(classes == 0, 0.06, 0.0), np.where(classes == 1, 0.06, 0.0), np.full(100, 0.9)])
    ranks = Ranks(of_id, ood, classes)
    assert [mean_of(ranks, [0]), mean_of(ranks, [1])] == pytest.approx([0.5, 0.5])
    assert mean_of(ranks, [0, 1]) == 0
    assert sorted(forward_selection(ranks, 2)) == [0, 1]
    weights = separation_weights(ranks)
    assert weights[2] == 0
    assert weights.sum() == pytest.approx(1)


def test_models_that_do_not_separate_get_equal_weights() -> None:
    ranks = Ranks(np.ones((2, 4)), np.ones((2, 3)), np.zeros(3, int))
    assert separation_weights(ranks).tolist() == [0.5, 0.5]


def test_halves_share_no_class_and_leave_none_out() -> None:
    classes = np.array([0, 1, 2, 2, 4, 3])
    (a, b), (c, d) = halves(classes)
    assert not (a & b).any()
    assert (a | b).all()
    assert (a == d).all()
    assert (b == c).all()
    assert list(halves(np.zeros(4, int))) == []


def test_the_ranks_of_some_classes_number_them_anew() -> None:
    ranks = random_ranks()
    part = ranks.of_classes(np.array([False, True, False, True]))
    assert set(part.classes.tolist()) == {0, 1}
    assert part.ood.shape[1] == int(np.isin(ranks.classes, [1, 3]).sum())
    assert part.id is ranks.id
