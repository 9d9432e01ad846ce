from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from analysis.algebra.class_scatter import class_statistics
from analysis.detectors import Detector, FitInputs, detectors, get, score_checked
from analysis.rows.activations import Activations
from analysis.statistics.class_statistics import CLASS_STATISTICS, UNIT_CLASS_STATISTICS
from featurestore.errors import InputError, MissingError, NumericalError
from tests.analysis.detectors.light import LIGHT
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


MOVED = {"max-logit", "energy", "vim", "vim.openood"}
SEEING_LOGITS = {"openmax", "cadref", "neco", "nnguide", "nnguide.openood", "lts", "excel"}


@pytest.mark.parametrize("name", sorted(LIGHT.get(name, name) for name in detectors().keys() - SEEING_LOGITS))
def test_a_common_shift_of_the_logits_is_not_seen(name: str) -> None:
    """Or moves the score by as much. Logits and shift are exact in binary."""
    case = headed(3, rows=1200, dtype="float64", nonnegative=False)
    fit, queries = (
        Activations(rows.feature, np.round(rows.logits64 * 1024) / 1024, rows.head)
        for rows in (case.rows, case.queries)
    )
    moved = [Activations(rows.feature, rows.logits64 + 2.0**20, rows.head) for rows in (fit, queries)]
    before = scored(name, fit, case.labels, queries)
    again = scored(name, fit if name in MOVED else moved[0], case.labels, moved[1])
    assert_allclose(again - 2.0**20 * (name in MOVED), before, rtol=1e-9, atol=1e-9)
