from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.metrics import auc, precision_recall_curve, roc_auc_score, roc_curve

from analysis.metrics import groups
from analysis.metrics.groups import Judge
from analysis.metrics.id_rank import id_rank
from analysis.metrics.pairs import (
    OodClasses,
    aupr_in,
    aupr_out,
    auroc,
    evaluate,
    evaluate_dataset,
    fpr95,
    fpr95_ood_positive,
    fpr_at_tpr,
    judge_dataset,
)
from featurestore.errors import InputError, NumericalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Float64 = NDArray[np.float64]

a_property = settings(deadline=None, max_examples=60)
tied = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=40).map(np.array)
untied = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40).map(np.array)
score_lists = tied | untied
METRICS = [fpr95, auroc, aupr_in, aupr_out, fpr95_ood_positive]


def labels_of(id_scores: Float64, ood_scores: Float64) -> tuple[Float64, Float64]:
    """ID samples as positives, with their scores."""
    positive = np.concatenate([np.ones(len(id_scores)), np.zeros(len(ood_scores))])
    return positive, np.concatenate([id_scores, ood_scores])


def naive_auroc(id_scores: Float64, ood_scores: Float64) -> float:
    return float(np.mean([(i > o) + (i == o) / 2 for i in id_scores for o in ood_scores]))


def naive_fpr95_ood_positive(id_scores: Float64, ood_scores: Float64) -> float:
    thresholds = sorted(set(id_scores) | set(ood_scores))
    reached = next(t for t in thresholds if np.mean(ood_scores <= t) >= 0.95)
    return float(np.mean(id_scores <= reached))


def naive_aupr_in(id_scores: Float64, ood_scores: Float64) -> float:
    area, recall, precision = 0.0, 0.0, 1.0
    for t in sorted(set(id_scores) | set(ood_scores), reverse=True):
        hits, misses = np.sum(id_scores >= t), np.sum(ood_scores >= t)
        next_recall, next_precision = hits / len(id_scores), hits / (hits + misses)
        area += (next_recall - recall) * (next_precision + precision) / 2
        recall, precision = next_recall, next_precision
    return float(area)


def test_both_fpr95_on_a_hand_worked_example() -> None:
    """NINCO counts accepted OOD at a quantile of ID, OpenOOD flagged ID at a quantile of OOD: they differ."""
    id_scores, ood_scores = np.arange(1.0, 22.0), np.array([0.0, 1.0, 2.0, 3.0])
    # The 5 % quantile of 1..21 is 2 (rank 1 of 20), and 2 and 3 of the four OOD samples are at least that.
    assert fpr95(id_scores, ood_scores) == 0.5
    # 95 % of four OOD samples are all four, so that everything up to 3 is flagged: 1, 2 and 3 of 21 ID samples.
    assert fpr95_ood_positive(id_scores, ood_scores) == 3 / 21


def test_areas_on_a_hand_worked_example() -> None:
    """ID 1, 2, 3 against OOD 0, 2: four and a half of six pairs are in order."""
    id_scores, ood_scores = np.array([3.0, 1.0, 2.0]), np.array([0.0, 2.0])
    assert auroc(id_scores, ood_scores) == pytest.approx(4.5 / 6, rel=1e-15)
    # Thresholds 3, 2, 1: recall 1/3, 2/3, 1; precision 1, 2/3, 3/4.
    assert aupr_in(id_scores, ood_scores) == pytest.approx(1 / 3 * (1 + (1 + 2 / 3) / 2 + (2 / 3 + 3 / 4) / 2))
    # Thresholds 0, 1, 2 from below: recall 1/2, 1/2, 1; precision 1, 1/2, 2/4.
    assert aupr_out(id_scores, ood_scores) == pytest.approx(1 / 2 * 1 + 1 / 2 * (1 / 2 + 1 / 2) / 2)


def test_exactly_95_percent_of_ood_suffices() -> None:
    """19 of 20 is 95 %, in spite of how 0.95 is rounded."""
    for n in (20, 40, 60, 140, 1000):
        ood_scores = np.arange(n, dtype=float)
        id_scores = np.array([ood_scores[n * 95 // 100 - 1], ood_scores[n * 95 // 100 - 1] + 0.5])
        assert fpr95_ood_positive(id_scores, ood_scores) == 0.5


def test_ood_scores_equal_to_the_threshold_are_accepted() -> None:
    """The rule is >=, also where the threshold is itself an ID score."""
    for n in (21, 41, 101, 2001):
        id_scores = np.arange(n, dtype=float)
        assert fpr95(id_scores, np.full(3, id_scores[(n - 1) // 20])) == 1.0


@a_property
@given(id_scores=score_lists, ood_scores=score_lists)
def test_metrics_equal_their_definitions(id_scores: Float64, ood_scores: Float64) -> None:
    """Sorting and counting give what loops over pairs and thresholds give, ties included."""
    threshold = np.quantile(id_scores, 0.05)
    assert fpr95(id_scores, ood_scores) == np.mean([o >= threshold for o in ood_scores])
    assert auroc(id_scores, ood_scores) == pytest.approx(naive_auroc(id_scores, ood_scores), abs=1e-14)
    assert aupr_in(id_scores, ood_scores) == pytest.approx(naive_aupr_in(id_scores, ood_scores), abs=1e-13)
    assert aupr_out(id_scores, ood_scores) == pytest.approx(naive_aupr_in(-ood_scores, -id_scores), abs=1e-13)
    assert fpr95_ood_positive(id_scores, ood_scores) == naive_fpr95_ood_positive(id_scores, ood_scores)


@a_property
@given(id_scores=score_lists, ood_scores=score_lists)
def test_metrics_equal_scikit_learn(id_scores: Float64, ood_scores: Float64) -> None:
    """AUROC, both AUPR and the OOD-positive FPR are those of scikit-learn's curves with every threshold."""
    positive, scores = labels_of(id_scores, ood_scores)
    assert auroc(id_scores, ood_scores) == pytest.approx(roc_auc_score(positive, scores), abs=1e-13)
    precision, recall, _ = precision_recall_curve(positive, scores)
    assert aupr_in(id_scores, ood_scores) == pytest.approx(auc(recall, precision), abs=1e-13)
    precision, recall, _ = precision_recall_curve(1 - positive, -scores)
    assert aupr_out(id_scores, ood_scores) == pytest.approx(auc(recall, precision), abs=1e-13)
    flagged, caught, _ = roc_curve(1 - positive, -scores, drop_intermediate=False)
    expected = flagged[np.argmax(caught >= 0.95)]
    assert fpr95_ood_positive(id_scores, ood_scores) == pytest.approx(expected, abs=1e-14)


def test_collinear_points_are_not_dropped() -> None:
    """With tied scores the curve that leaves out collinear points flags more ID than needed; ours does not."""
    # Thresholds 0, 1, 2 catch 92, 96, 100 of 100 OOD samples and flag 46, 48, 50 of 100 ID samples.
    id_scores, ood_scores = np.repeat([0.0, 1.0, 2.0, 3.0], [46, 2, 2, 50]), np.repeat([0.0, 1.0, 2.0], [92, 4, 4])
    positive, scores = labels_of(id_scores, ood_scores)
    flagged, caught, _ = roc_curve(1 - positive, -scores, drop_intermediate=True)
    assert flagged[np.argmax(caught >= 0.95)] == 0.5
    assert fpr95_ood_positive(id_scores, ood_scores) == 0.48


@a_property
@given(id_scores=score_lists, ood_scores=score_lists)
def test_swapping_or_negating_mirrors_auroc(id_scores: Float64, ood_scores: Float64) -> None:
    """auroc(a, b) = 1 - auroc(b, a) = auroc(-b, -a), and likewise aupr_in of one is aupr_out of the other."""
    assert auroc(id_scores, ood_scores) == pytest.approx(1 - auroc(ood_scores, id_scores), abs=1e-15)
    assert auroc(id_scores, ood_scores) == auroc(-ood_scores, -id_scores)
    assert aupr_in(id_scores, ood_scores) == aupr_out(-ood_scores, -id_scores)


@pytest.mark.parametrize("metric", METRICS)
@a_property
@given(id_scores=score_lists, ood_scores=score_lists, seed=st.integers(0, 2**32 - 1))
def test_order_does_not_matter(
    metric: Callable[..., float], id_scores: Float64, ood_scores: Float64, seed: int
) -> None:
    """Every metric is a function of the multisets of scores, and is left alone by doubling them all."""
    rng = np.random.default_rng(seed)
    value = metric(id_scores, ood_scores)
    assert metric(rng.permutation(id_scores), rng.permutation(ood_scores)) == value
    assert metric(2 * id_scores, 2 * ood_scores) == value


@pytest.mark.parametrize(
    ("id_scores", "ood_scores", "expected"),
    [
        ([2.0, 3.0], [0.0, 1.0], {"fpr95": 0, "auroc": 1, "aupr_in": 1, "aupr_out": 1, "fpr95_ood_positive": 0}),
        ([0.0, 1.0], [2.0, 3.0], {"fpr95": 1, "auroc": 0, "fpr95_ood_positive": 1}),
        ([1.0], [1.0], {"fpr95": 1, "auroc": 0.5, "aupr_in": 0.75, "aupr_out": 0.75, "fpr95_ood_positive": 1}),
        ([1.0, 1.0, 1.0], [1.0], {"fpr95": 1, "auroc": 0.5, "aupr_in": 0.875, "aupr_out": 0.625}),
    ],
)
def test_extremes(id_scores: list[float], ood_scores: list[float], expected: dict[str, float]) -> None:
    """Perfect separation, its reverse, and all scores tied."""
    metrics = asdict(evaluate(np.array(id_scores), np.array(ood_scores)))
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("tpr", [0.0, 0.5, 0.8, 0.95, 0.99, 1.0])
def test_fpr_at_any_rate_thresholds_at_that_quantile(tpr: float) -> None:
    """The threshold leaves at least a share tpr - 1/n of ID at or above it, and is NumPy's linear quantile."""
    rng = np.random.default_rng(3)
    id_scores, ood_scores = rng.normal(size=500), rng.normal(size=300) - 1
    assert fpr_at_tpr(id_scores, ood_scores, tpr) == np.mean(ood_scores >= np.quantile(id_scores, 1 - tpr))


def test_a_rate_outside_zero_and_one_is_refused() -> None:
    """Percent are not shares."""
    with pytest.raises(InputError, match="between 0 and 1; got 95"):
        fpr_at_tpr([1.0], [1.0], 95)


@a_property
@given(id_scores=score_lists, ood_scores=score_lists)
def test_auroc_is_the_mean_rank(id_scores: Float64, ood_scores: Float64) -> None:
    """1 - mean(id_rank of OOD) is the AUROC, so that SQL needs only an average."""
    rank = id_rank(ood_scores, np.sort(id_scores))
    assert auroc(id_scores, ood_scores) == pytest.approx(1 - rank.mean(), abs=1e-14)


def a_dataset() -> tuple[Float64, Float64, NDArray[np.str_]]:
    rng = np.random.default_rng(5)
    classes = np.array(["stripes", "blobs", "noise", "lonely"])[np.append(rng.integers(0, 3, 299), 3)]
    return np.round(rng.normal(size=700), 1), np.round(rng.normal(size=300) - 1, 1), classes


def test_dataset_rows_are_those_of_each_class_alone() -> None:
    """Sharing the sorted ID scores changes nothing: each class row is `evaluate` on that class, in order of name."""
    id_scores, ood_scores, classes = a_dataset()
    rows = evaluate_dataset(id_scores, ood_scores, classes)
    assert [(row.aggregation, row.ood_class) for row in rows] == [
        *[("class", name) for name in ["blobs", "lonely", "noise", "stripes"]],
        ("class_mean", None),
        ("pooled", None),
    ]
    for row in rows[:4]:
        assert row.metrics == evaluate(id_scores, ood_scores[classes == row.ood_class])
    assert rows[-1].metrics == evaluate(id_scores, ood_scores)


@a_property
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(0, 8), st.booleans())
def test_many_classes_at_once_are_those_of_each_class_alone(seed: int, n_ood: int, shared: int, rounded: bool) -> None:
    """Whatever the sizes of the classes, ties among them and with ID, or an ID test set without any; a class may have no sample."""
    generator = np.random.default_rng(seed)
    id_scores, ood_scores = generator.normal(size=30), generator.normal(size=n_ood)
    ood_scores[:shared] = id_scores[: min(shared, n_ood)]
    if rounded:
        id_scores, ood_scores = np.round(id_scores, 1), np.round(ood_scores, 1)
    every = OodClasses.of([*"abcdefgh", *generator.choice([*"aceg"], n_ood)])
    classes = every.take(np.arange(8, 8 + n_ood))
    *rows, _, pooled = judge_dataset(Judge.of(id_scores), ood_scores, classes)
    names = np.array(classes.names)[classes.members]
    assert [row.ood_class for row in rows] == sorted(set(names))
    for row in rows:
        alone, naive = ood_scores[names == row.ood_class], fpr95(id_scores, ood_scores[names == row.ood_class])
        assert asdict(row.metrics) == pytest.approx(asdict(evaluate(id_scores, alone)), abs=1e-14)
        assert row.metrics.fpr95 == naive
        assert row.metrics.auroc == auroc(id_scores, alone)
    assert asdict(pooled.metrics) == pytest.approx(asdict(evaluate(id_scores, ood_scores)), abs=1e-14)


def test_ties_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded by looking at a few classes at a time: that changes nothing."""
    whole = evaluate_dataset(*a_dataset())
    monkeypatch.setattr(groups, "_CELLS", 100)
    for found, expected in zip(evaluate_dataset(*a_dataset()), whole, strict=True):
        assert asdict(found.metrics) == pytest.approx(asdict(expected.metrics), abs=1e-14)


def test_class_mean_is_unweighted_and_pooling_is_not() -> None:
    """A class of one sample counts as much as any other in the mean, and as one sample when pooled."""
    id_scores, ood_scores, classes = a_dataset()
    *per_class, mean, pooled = evaluate_dataset(id_scores, ood_scores, classes.tolist())
    for name in ("fpr95", "auroc", "aupr_in", "aupr_out", "fpr95_ood_positive"):
        expected = np.mean([getattr(row.metrics, name) for row in per_class])
        assert getattr(mean.metrics, name) == pytest.approx(expected, rel=1e-14)
    assert (mean.metrics.n_id, mean.metrics.n_ood) == (pooled.metrics.n_id, pooled.metrics.n_ood) == (700, 300)
    weights = [row.metrics.n_ood for row in per_class]
    aurocs = [row.metrics.auroc for row in per_class]
    assert pooled.metrics.auroc == pytest.approx(np.average(aurocs, weights=weights), abs=1e-14)
    assert pooled.metrics.auroc != pytest.approx(mean.metrics.auroc, abs=1e-3)


def test_a_single_class_is_its_own_mean_and_pool() -> None:
    """The three aggregations agree where there is nothing to aggregate."""
    id_scores, ood_scores, _ = a_dataset()
    one, mean, pooled = evaluate_dataset(id_scores, ood_scores, ["only"] * 300)
    assert one.metrics == mean.metrics == pooled.metrics


def test_every_ood_score_needs_a_class() -> None:
    """A list of classes of another length, or with gaps, is refused."""
    with pytest.raises(InputError, match="2 classes for 3 scores"):
        evaluate_dataset([1.0], [1.0, 2.0, 3.0], ["a", "b"])
    with pytest.raises(InputError, match="sample 1 has none"):
        evaluate_dataset([1.0], [1.0, 2.0], np.array(["a", None], object))


@pytest.mark.parametrize("metric", [*METRICS, evaluate])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(metric: Callable[..., Any], bad: float) -> None:
    """One NaN among the ID scores would make FPR95 zero: it is an error naming the row instead."""
    with pytest.raises(NumericalError, match="ID scores row 1"):
        metric([1.0, bad], [1.0])
    with pytest.raises(NumericalError, match="OOD scores row 2"):
        metric([1.0], [1.0, 2.0, bad])


@pytest.mark.parametrize("metric", [*METRICS, evaluate])
def test_no_scores_are_refused(metric: Callable[..., Any]) -> None:
    """A metric of nothing is an error, not NaN."""
    with pytest.raises(InputError, match="ID scores"):
        metric([], [1.0])
    with pytest.raises(InputError, match="OOD scores"):
        metric([1.0], [])


def test_float32_scores_are_compared_exactly() -> None:
    """Widening to float64 keeps order and ties."""
    scores = np.random.default_rng(0).normal(size=200).astype(np.float32)
    assert_allclose(auroc(scores[:100], scores[100:]), naive_auroc(scores[:100], scores[100:]), rtol=1e-14)


@a_property
@given(id_scores=score_lists, ood_scores=tied, shared=st.integers(0, 5))
def test_the_short_way_to_both_areas_is_the_long_one(id_scores: Float64, ood_scores: Float64, shared: int) -> None:
    """Over the OOD scores alone, by harmonic numbers, comes what all thresholds give, also where OOD scores equal ID scores."""
    for of_id in (id_scores, np.unique(id_scores)):
        of_ood = np.concatenate([ood_scores, of_id[:shared]])
        found = evaluate(of_id, of_ood)
        assert found.aupr_in == pytest.approx(aupr_in(of_id, of_ood), abs=1e-13)
        assert found.aupr_out == pytest.approx(aupr_out(of_id, of_ood), abs=1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_the_short_way_is_exact_at_the_size_of_imagenet(dtype: type[np.floating[Any]]) -> None:
    """With scores that all differ, and with logits as they are stored, of which many are equal."""
    generator = np.random.default_rng(0)
    id_scores, ood_scores = (generator.normal(mean, 1, n).astype(dtype) for mean, n in ((1, 50_000), (0, 6_800)))
    found = evaluate(id_scores, ood_scores)
    assert found.aupr_in == pytest.approx(aupr_in(id_scores, ood_scores), abs=1e-13)
    assert found.aupr_out == pytest.approx(aupr_out(id_scores, ood_scores), abs=1e-13)
