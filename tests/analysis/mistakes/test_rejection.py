"""Selective prediction against its definitions: every threshold, every order of equal scores, every pair looked at."""

from __future__ import annotations

from itertools import pairwise, permutations, product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from analysis.mistakes.rejection import oscr, rejection
from featurestore.errors import InputError, NumericalError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

a_property = settings(deadline=None, max_examples=60)
seeds = st.integers(0, 2**32 - 1)


def drawn(seed: int, n: int = 40) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores with many ties, and predictions."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 7, n) / 2, generator.random(n) < generator.random()


def orders(scores: NDArray[np.float64]) -> Iterator[list[int]]:
    """Every order of samples from the highest score on."""
    tied = [np.flatnonzero(scores == value).tolist() for value in sorted(set(scores), reverse=True)]
    for chosen in product(*(permutations(of) for of in tied)):
        yield [sample for of in chosen for sample in of]


def naive_areas(right: NDArray[np.bool_], order: list[int]) -> tuple[float, float, list[float]]:
    """AURC, AUGRC and risks at whole per cents of one order, by loops."""
    n, wrong, errors = len(order), 0, [0]
    for sample in order:
        wrong += not right[sample]
        errors.append(wrong)
    aurc = sum(errors[k] / k for k in range(1, n + 1)) / n
    augrc = sum((errors[k] / n + errors[k - 1] / n) / 2 / n for k in range(1, n + 1))
    kept = [next(k for k in range(1, n + 1) if 100 * k >= percent * n) for percent in range(1, 101)]
    return aurc, augrc, [errors[k] / k for k in kept]


@a_property
@given(seed=seeds, n=st.integers(1, 7))
def test_ties_count_as_the_mean_over_all_their_orders(seed: int, n: int) -> None:
    scores, right = drawn(seed, n)
    found = rejection(scores, right)
    every = [naive_areas(right, order) for order in orders(scores)]
    assert found.aurc == pytest.approx(np.mean([aurc for aurc, _, _ in every]), abs=1e-12)
    assert found.augrc == pytest.approx(np.mean([augrc for _, augrc, _ in every]), abs=1e-12)
    assert found.risks == pytest.approx(np.mean([risks for _, _, risks in every], axis=0), abs=1e-12)


@a_property
@given(seed=seeds)
def test_without_ties_it_is_the_one_order(seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores, right = generator.normal(size=300), generator.random(300) < 0.7
    aurc, augrc, risks = naive_areas(right, np.argsort(-scores).tolist())
    found = rejection(scores, right)
    assert (found.aurc, found.augrc) == pytest.approx((aurc, augrc), abs=1e-12)
    assert found.risks == pytest.approx(risks, abs=1e-12)
    best = naive_areas(right, np.argsort(~right, kind="stable").tolist())[0]
    assert found.eaurc == pytest.approx(aurc - best, abs=1e-12)


@a_property
@given(seed=seeds)
def test_misclassification_is_told_as_by_sklearn_and_by_every_threshold(seed: int) -> None:
    """And AUGRC follows from it and the accuracy, as its authors have it."""
    scores, right = drawn(seed)
    found = rejection(scores, right)
    if right.all() or not right.any():
        assert found.misclassification_auroc is found.misclassification_fpr95 is None
        return
    auroc = roc_auc_score(right, scores)
    assert found.misclassification_auroc == pytest.approx(auroc, abs=1e-12)
    threshold = np.quantile(scores[right], 0.05)
    assert found.misclassification_fpr95 == sum(score >= threshold for score in scores[~right]) / (~right).sum()
    accuracy = right.mean()
    assert found.accuracy == pytest.approx(accuracy, abs=1e-15)
    assert found.augrc == pytest.approx((1 - auroc) * accuracy * (1 - accuracy) + (1 - accuracy) ** 2 / 2, abs=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_ends(share: float) -> None:
    """Scores that say all have nothing in excess; scores that say nothing have the risk of the model everywhere."""
    right = np.arange(50) >= 50 * share
    perfect, constant = rejection(right.astype(float), right), rejection(np.zeros(50), right)
    assert perfect.eaurc == pytest.approx(0, abs=1e-12)
    assert rejection(np.arange(50.0), right).eaurc == pytest.approx(0, abs=1e-12)
    assert constant.aurc == pytest.approx(share)
    assert constant.risks == pytest.approx([share] * 100)
    assert constant.augrc == pytest.approx(share / 2)
    assert rejection(np.arange(50.0), right).risks[-1] == pytest.approx(share)


@a_property
@given(seed=seeds)
def test_oscr_is_the_area_of_its_curve(seed: int) -> None:
    """Correct and accepted ID against accepted OOD, at every threshold; and the accuracy times an AUROC."""
    scores, right = drawn(seed)
    ood = np.random.default_rng(seed + 1).integers(-3, 6, 23) / 2
    thresholds = sorted({*scores, *ood}, reverse=True)
    points = [(0.0, 0.0)] + [(np.mean(ood >= t), np.mean(right & (scores >= t))) for t in thresholds]
    area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))
    found = oscr(scores, right, ood)
    assert found == pytest.approx(area, abs=1e-12)
    if right.any():
        of_right = np.r_[np.ones(right.sum()), np.zeros(len(ood))]
        assert found == pytest.approx(right.mean() * roc_auc_score(of_right, np.r_[scores[right], ood]), abs=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(NumericalError, match="Scores row 1"):
        rejection([1.0, bad], np.array([True, False]))
    with pytest.raises(NumericalError):
        oscr([1.0, 2.0], np.array([True, False]), [bad])


def test_scores_and_predictions_are_of_the_same_samples() -> None:
    with pytest.raises(InputError, match="got 1 predictions for 2 scores"):
        rejection([1.0, 2.0], np.array([True]))
    with pytest.raises(InputError, match="non-empty"):
        rejection([], np.empty(0, bool))
