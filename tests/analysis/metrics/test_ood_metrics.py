from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from analysis.metrics import groups, id_rank
from analysis.metrics.groups import IdReference
from analysis.metrics.ood_metrics import OodClasses, OodMetrics, dataset_metrics
from featurestore.errors import InputError, NumericalError
from tests.analysis.metrics import oracle
from tests.analysis.metrics.oracle import judged, judged_by_class

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[np.float64]

a_property = settings(deadline=None, max_examples=60)
tied = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=40).map(np.array)
untied = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40).map(np.array)
score_lists = tied | untied
INTERVALS = ["fpr95_low", "fpr95_high", "auroc_low", "auroc_high"]
METRICS = ["fpr95", "auroc", "aupr_in", "aupr_out", "fpr95_ood_positive"]


def curves(id_scores: Float64, ood_scores: Float64) -> dict[str, float]:
    """The areas and the OOD-positive FPR of scikit-learn's curves with every threshold; of one threshold, average precision."""
    positive = np.concatenate([np.ones(len(id_scores)), np.zeros(len(ood_scores))])
    scores = np.concatenate([id_scores, ood_scores])
    precision, recall, _ = precision_recall_curve(positive, scores)
    precision_out, recall_out, _ = precision_recall_curve(1 - positive, -scores)
    flagged, caught, _ = roc_curve(1 - positive, -scores, drop_intermediate=False)
    return {
        "auroc": roc_auc_score(positive, scores),
        "aupr_in": auc(recall, precision) if np.ptp(scores) else average_precision_score(positive, scores),
        "aupr_out": auc(recall_out, precision_out)
        if np.ptp(scores)
        else average_precision_score(1 - positive, -scores),
        "fpr95_ood_positive": flagged[np.argmax(caught >= 0.95)],
    }


def test_exactly_95_percent_of_ood_suffices() -> None:
    """19 of 20 is 95 %, in spite of how 0.95 is rounded."""
    for n in (20, 40, 60, 140, 1000):
        ood_scores = np.arange(n, dtype=float)
        id_scores = np.array([ood_scores[n * 95 // 100 - 1], ood_scores[n * 95 // 100 - 1] + 0.5])
        assert judged(id_scores, ood_scores).fpr95_ood_positive == 0.5


@a_property
@given(id_scores=score_lists, ood_scores=score_lists, shared=st.integers(0, 5))
@example(id_scores=np.array([1.0, 1.0, 0.0]), ood_scores=np.array([2.0, 0.0]), shared=0)
def test_metrics_equal_their_definitions(id_scores: Float64, ood_scores: Float64, shared: int) -> None:
    """What loops over pairs and thresholds and scikit-learn's curves give; also where OOD scores equal ID scores."""
    for of_id in (id_scores, np.unique(id_scores)):
        of_ood = np.concatenate([ood_scores, of_id[:shared]])
        found = judged(of_id, of_ood)
        assert (found.n_id, found.n_ood) == (len(of_id), len(of_ood))
        assert found.fpr95 == oracle.fpr95(of_id, of_ood)
        assert found.auroc == pytest.approx(oracle.auroc(of_id, of_ood), abs=1e-14)
        assert found.auroc == pytest.approx(1 - id_rank(of_ood, np.sort(of_id)).mean(), abs=1e-14)
        assert found.aupr_in == pytest.approx(oracle.aupr_in(of_id, of_ood), abs=1e-13)
        assert found.aupr_out == pytest.approx(oracle.aupr_in(-of_ood, -of_id), abs=1e-13)
        assert found.fpr95_ood_positive == oracle.fpr95_ood_positive(of_id, of_ood)
        wanted = curves(of_id, of_ood)
        assert {name: getattr(found, name) for name in wanted} == pytest.approx(wanted, abs=1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_metrics_are_exact_at_the_size_of_imagenet(dtype: type[np.floating[Any]]) -> None:
    """With scores that all differ, and with logits as they are stored, of which many are equal."""
    generator = np.random.default_rng(0)
    id_scores, ood_scores = (generator.normal(mean, 1, n).astype(dtype) for mean, n in ((1, 50_000), (0, 6_800)))
    found, wanted = judged(id_scores, ood_scores), curves(id_scores.astype(float), ood_scores.astype(float))
    assert {name: getattr(found, name) for name in wanted} == pytest.approx(wanted, abs=1e-13)


@pytest.mark.parametrize(
    ("id_scores", "ood_scores", "expected"),
    [
        ([2.0, 3.0], [0.0, 1.0], {"fpr95": 0, "auroc": 1, "aupr_in": 1, "aupr_out": 1, "fpr95_ood_positive": 0}),
        ([0.0, 1.0], [2.0, 3.0], {"fpr95": 1, "auroc": 0, "fpr95_ood_positive": 1}),
        ([1.0], [1.0], {"fpr95": 1, "auroc": 0.5, "aupr_in": 0.5, "aupr_out": 0.5, "fpr95_ood_positive": 1}),
        ([1.0, 1.0, 1.0], [1.0], {"fpr95": 1, "auroc": 0.5, "aupr_in": 0.75, "aupr_out": 0.25}),
        # The 5 % quantile of 1..21 is 2, which two of four OOD samples reach. All four are needed for 95 % of OOD: 1 to 3 are flagged.
        ([*range(1, 22)], [0, 1, 2, 3], {"fpr95": 0.5, "fpr95_ood_positive": 3 / 21}),
        # Thresholds 0, 1, 2 catch 92, 96, 100 of 100 OOD samples and flag 46, 48, 50 of 100 ID samples: no point is dropped.
        ([0] * 46 + [1, 1, 2, 2] + [3] * 50, [0] * 92 + [1] * 4 + [2] * 4, {"fpr95_ood_positive": 0.48}),
        # Recall 1/3, 2/3, 1 at precision 1, 2/3, 3/4; and recall 1/2, 1/2, 1 at precision 1, 1/2, 1/2.
        ([3, 1, 2], [0, 2], {"auroc": 4.5 / 6, "aupr_in": (1 + 5 / 6 + 17 / 24) / 3, "aupr_out": 3 / 4}),
    ],
)
def test_metrics_by_hand(id_scores: list[float], ood_scores: list[float], expected: dict[str, float]) -> None:
    """Perfect separation, its reverse, all scores tied, and where NINCO's and OpenOOD's FPR95 differ."""
    metrics = asdict(judged(id_scores, ood_scores))
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)


def a_dataset() -> tuple[Float64, Float64, NDArray[np.str_]]:
    rng = np.random.default_rng(5)
    classes = np.array(["stripes", "blobs", "noise", "lonely"])[np.append(rng.integers(0, 3, 299), 3)]
    return np.round(rng.normal(size=700), 1), np.round(rng.normal(size=300) - 1, 1), classes


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
    *rows, mean, pooled = dataset_metrics(IdReference.of(id_scores), ood_scores, classes)
    names = np.array(classes.names)[classes.members]
    assert [(row.aggregation, row.ood_class) for row in rows] == [("class", name) for name in sorted(set(names))]
    assert (mean.aggregation, mean.ood_class) == ("class_mean", None)
    assert (pooled.aggregation, pooled.ood_class) == ("pooled", None)
    for row in rows:
        alone = judged(id_scores, ood_scores[names == row.ood_class])
        assert asdict(row.metrics) == pytest.approx(asdict(alone), abs=1e-14)
        assert row.metrics.fpr95 == oracle.fpr95(id_scores, ood_scores[names == row.ood_class])
    assert asdict(pooled.metrics) == pytest.approx(asdict(judged(id_scores, ood_scores)), abs=1e-14)


def test_ties_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded by looking at a few classes at a time: that changes nothing."""
    whole = judged_by_class(*a_dataset())
    monkeypatch.setattr(groups, "_CELLS", 100)
    for found, expected in zip(judged_by_class(*a_dataset()), whole, strict=True):
        assert asdict(found.metrics) == pytest.approx(asdict(expected.metrics), abs=1e-14)


def test_class_mean_is_unweighted_and_pooling_is_not() -> None:
    """A class of one sample counts as much as any other in the mean, and as one sample when pooled."""
    id_scores, ood_scores, classes = a_dataset()
    *per_class, mean, pooled = judged_by_class(id_scores, ood_scores, classes.tolist())
    for name in METRICS:
        expected = np.mean([getattr(row.metrics, name) for row in per_class])
        assert getattr(mean.metrics, name) == pytest.approx(expected, rel=1e-14)
    assert (mean.metrics.n_id, mean.metrics.n_ood) == (pooled.metrics.n_id, pooled.metrics.n_ood) == (700, 300)
    weights = [row.metrics.n_ood for row in per_class]
    aurocs = [row.metrics.auroc for row in per_class]
    assert pooled.metrics.auroc == pytest.approx(np.average(aurocs, weights=weights), abs=1e-14)
    assert pooled.metrics.auroc != pytest.approx(mean.metrics.auroc, abs=1e-3)


def test_a_single_class_is_its_own_mean_and_pool() -> None:
    """The three aggregations agree where there is nothing to aggregate; all metrics are among those compared here."""
    id_scores, ood_scores, _ = a_dataset()
    one, mean, pooled = judged_by_class(id_scores, ood_scores, ["only"] * 300)
    assert one.metrics == mean.metrics == pooled.metrics
    assert [field.name for field in fields(OodMetrics)] == ["n_id", "n_ood", *METRICS, *INTERVALS]


def test_every_ood_score_needs_a_class() -> None:
    """A list of classes of another length, or with gaps, is refused."""
    with pytest.raises(InputError, match="2 classes for 3 scores"):
        judged_by_class([1.0], [1.0, 2.0, 3.0], ["a", "b"])
    with pytest.raises(InputError, match="sample 1 has none"):
        judged_by_class([1.0], [1.0, 2.0], np.array(["a", None], object))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(bad: float) -> None:
    """One NaN among the ID scores would make FPR95 zero: it is an error naming the row instead."""
    with pytest.raises(NumericalError, match="ID scores row 1"):
        judged([1.0, bad], [1.0])
    with pytest.raises(NumericalError, match="OOD scores row 2"):
        judged([1.0], [1.0, 2.0, bad])


def test_no_scores_are_refused() -> None:
    """A metric of nothing is an error, not NaN."""
    with pytest.raises(InputError, match="ID scores"):
        judged([], [1.0])
    with pytest.raises(InputError, match="OOD scores"):
        judged([1.0], [])
