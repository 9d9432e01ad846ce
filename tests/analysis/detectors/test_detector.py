from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from analysis.algebra.class_scatter import class_statistics
from analysis.detectors import Detector, FitInputs, detectors, get, score_checked
from analysis.rows.activations import Activations
from analysis.statistics.class_statistics import CLASS_STATISTICS, UNIT_CLASS_STATISTICS
from featurestore.errors import InputError, MissingError, NumericalError
from tests.analysis.gathered import scored
from tests.analysis.modelled import headed


def a_detector(scores: list[float]) -> Detector[None]:
    return Detector("made-up", "Made up", "none", "none", score=lambda _fit, _activations: np.array(scores))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_name_detector_and_row(bad: float) -> None:
    """The first bad row is named."""
    with pytest.raises(NumericalError, match="made-up scores row 1"):
        score_checked(a_detector([1.0, bad, bad]), None, Activations(np.ones((3, 1))))


def test_overflow_inside_a_detector_is_caught() -> None:
    """Distances too large for float64 are an error naming the sample, not an infinity."""
    rows = Activations(np.random.default_rng(0).normal(size=(50, 3)))
    far = Activations(np.where(np.arange(50)[:, None] == 7, 1e200, rows.feature))
    with pytest.raises(NumericalError, match="mahalanobis scores row 7"):
        scored("mahalanobis", rows, np.arange(50) % 2, far)


def test_logit_detectors_ask_for_logits() -> None:
    """The detector that cannot do without is named."""
    with pytest.raises(InputError, match="energy needs logits"):
        score_checked(get("energy"), None, Activations(np.ones((3, 1))))


def test_absent_statistics_are_named() -> None:
    """The message says what was collected instead."""
    statistics = class_statistics(np.ones((4, 2)), np.zeros(4, int), 1)
    with pytest.raises(MissingError, match="'class-statistics-normalised'; collected are: class-statistics"):
        FitInputs({"class-statistics": statistics.to_arrays()}).need(UNIT_CLASS_STATISTICS)
    with pytest.raises(MissingError, match="collected are: none"):
        FitInputs({}).need(CLASS_STATISTICS)


LEARNING = [name for name, detector in detectors().items() if detector.learns]
LIGHT = {"corp": "corp@features=48", "kpca-nystrom": "kpca-nystrom@landmarks=40", "weiper": "weiper@repeats=3"}
"""What stands here for those that take seconds a fit."""
SAMPLING = {"cfood", "knn.sampled", "nnguide", "nnguide.openood"}


def lighter(names: set[str]) -> list[str]:
    """These, and in place of the slow ones variants that are not."""
    return sorted(LIGHT.get(name, name) for name in names)


@pytest.mark.parametrize("name", lighter({*LEARNING} - SAMPLING))
def test_order_and_shards_of_the_fit_rows_do_not_matter(name: str) -> None:
    """Shuffled rows in three shards give the same scores up to rounding."""
    case = headed(3, rows=1200, nonnegative=False)
    shuffled = case.part(np.random.default_rng(0).permutation(1200))
    again = scored(name, shuffled.rows, shuffled.labels, case.queries, shards=3, rows_per_block=9)
    assert_allclose(again, scored(name, case.rows, case.labels, case.queries), rtol=1e-8)


MOVED = {"max-logit", "energy", "vim", "vim.openood"}
SEEING_LOGITS = {"openmax", "cadref", "neco", "nnguide", "nnguide.openood", "lts", "excel"}


@pytest.mark.parametrize("name", lighter({*detectors()} - SEEING_LOGITS))
def test_a_common_shift_of_the_logits_is_not_seen(name: str) -> None:
    """Or moves the score by as much; what reads no logits needs none. Logits and shift are exact in binary."""
    case = headed(3, rows=1200, dtype="float64", nonnegative=False)
    fit, queries = (
        Activations(rows.feature, np.round(rows.logits64 * 1024) / 1024, rows.head)
        for rows in (case.rows, case.queries)
    )
    moved = [Activations(rows.feature, rows.logits64 + 2.0**20, rows.head) for rows in (fit, queries)]
    before = scored(name, fit, case.labels, queries)
    again = scored(name, fit if name in MOVED else moved[0], case.labels, moved[1])
    assert_allclose(again - 2.0**20 * (name in MOVED), before, rtol=1e-9, atol=1e-9)
    detector = get(name)
    if detector.score and not detector.needs_logits:
        bare = Activations(queries.feature, None, queries.head)
        assert_array_equal(scored(name, fit, case.labels, bare), before)


def reads_only_logits(name: str) -> bool:
    """Features of any number of dimensions would do."""
    return not get(name).learns or {read for need in get(name).statistics for read in need.reads} == {"logits"}


@pytest.mark.parametrize("name", lighter({name for name in detectors() if not reads_only_logits(name)}))
def test_features_of_another_dimension_than_the_fit_are_refused(name: str) -> None:
    """Both numbers are named, whether by the fit or by the head."""
    case = headed(3, rows=1200)
    wide = Activations(np.ones((4, 13)), np.ones((4, 5)), case.queries.head)
    with pytest.raises(InputError, match=r"13 dimensions meet a fit of 12|fed 12 dimensions; these features have 13"):
        scored(name, case.rows, case.labels, wide)
