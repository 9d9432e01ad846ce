from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal

from analysis.detectors.covariances import gmm
from analysis.rows.activations import Activations
from featurestore.errors import NumericalError
from tests.analysis.conftest import clustered
from tests.analysis.gathered import scored
from tests.analysis.modelled import Modelled, modelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[Any]


def naive_scores(model: Modelled) -> Float64:
    """SciPy's densities, class by class."""
    features = model.rows.feature.astype(float)
    each = []
    for c in np.unique(model.labels):
        rows = features[model.labels == c]
        covariance = np.cov(rows, rowvar=False, ddof=1).reshape(2 * rows.shape[1:])
        each.append(multivariate_normal(rows.mean(axis=0), covariance).logpdf(model.queries.feature.astype(float)))
    return np.max(each, axis=0)


def as_sequence(model: Modelled) -> Modelled:
    """The same fit rows, class after class."""
    return model.part(np.argsort(model.labels, kind="stable"))


@pytest.mark.parametrize("memory", [1 << 30, 4 * 8_000, 0])
@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("sequence", [False, True])
def test_scores_equal_scipy(memory: int, shards: int, sequence: bool) -> None:
    """With memory for all classes, for some, and for one at a time."""
    model = modelled(clustered(0, 900, 6, 7))
    model = as_sequence(model) if sequence else model
    fast = scored("gmm", model.rows, model.labels, model.queries, classes=9, shards=shards, memory=memory)
    assert_allclose(fast, naive_scores(model), rtol=1e-9)


@pytest.mark.parametrize("shards", [1, 3])
def test_large_classes_are_condensed_to_their_statistics(monkeypatch: pytest.MonkeyPatch, shards: int) -> None:
    """Rows of a class give way to their scatter when it is smaller, and nothing but rounding changes."""
    monkeypatch.setattr(gmm, "_CONDENSED_FROM", 0)
    model = modelled(clustered(0, 900, 6, 4))
    fast = scored("gmm", model.rows, model.labels, model.queries, classes=4, shards=shards)
    assert_allclose(fast, naive_scores(model), rtol=1e-9)


def test_shards_do_not_matter_to_the_last_bit() -> None:
    """Rows are put in order of their samples before anything is added up."""
    model = modelled(clustered(0, 300, 6, 3))
    once = scored("gmm", model.rows, model.labels, model.queries)
    for memory in (1 << 30, 0):
        assert_array_equal(scored("gmm", model.rows, model.labels, model.queries, shards=4, memory=memory), once)


def sweeps(monkeypatch: pytest.MonkeyPatch, model: Modelled, memory: int) -> int:
    started = Mock(wraps=gmm._Densities)
    monkeypatch.setattr(gmm, "_Densities", started)
    scored("gmm", model.rows, model.labels, model.queries, classes=10, rows_per_block=10, memory=memory)
    return started.call_count


def test_classes_in_sequence_need_one_sweep_and_classes_at_once_as_many_as_memory_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A class is let go when its last sample has come."""
    model = modelled(clustered(0, 1000, 6, 10))
    one_class = 8 * 6 * 100
    with monkeypatch.context() as patch:
        assert sweeps(patch, model, 1 << 30) == 1
    with monkeypatch.context() as patch:
        assert 3 <= sweeps(patch, model, 4 * 4 * one_class) <= 4
    with monkeypatch.context() as patch:
        assert sweeps(patch, as_sequence(model), 4 * 2 * one_class) == 1


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_directions_of_rounding_are_left_out(dtype: str) -> None:
    """A feature that is constant, and one that repeats another up to rounding, change no density: no jitter is needed."""
    model = modelled(clustered(0, 900, 6, 7))
    features = [rows.feature.astype(dtype).astype(float) for rows in (model.rows, model.queries)]
    wider = [np.column_stack([h, np.full(len(h), 3.0), h[:, 0] / 3]).astype(dtype) for h in features]
    plain, found = (
        scored("gmm", Activations(fit), model.labels, Activations(queries)) for fit, queries in (features, wider)
    )
    # The repeated feature is stretched along with its twin, by the same for all classes.
    assert_allclose(found - found.mean(), plain - plain.mean(), atol=10 * np.finfo(dtype).eps * np.ptp(plain))


def test_a_singular_class_takes_the_first_jitter_that_mends_it() -> None:
    """A class of equal rows has covariance zero: jitter 1e-15, and a density that says so."""
    features = np.concatenate([np.random.default_rng(0).normal(size=(50, 2)), np.full((5, 2), 3.0)])
    labels = np.repeat([0, 1], [50, 5])
    queries = Activations(np.array([[3.0, 3.0]]))
    found = scored("gmm", Activations(features), labels, queries)
    assert_allclose(found, -np.log(2 * np.pi) - np.log(1e-15), rtol=1e-12)


def test_a_class_that_no_jitter_mends_is_named() -> None:
    """Collinear features of norm 1e12 stay singular in float64 whatever is added up to 0.1."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 1)) @ rng.normal(size=(1, 8)) * 1e12
    features[:30] = rng.normal(size=(30, 8)) * 1e12
    with pytest.raises(NumericalError, match="covariance of class 1 is singular"):
        scored("gmm", Activations(features), np.repeat([0, 1], 30), Activations(features[:2]))


def test_a_class_of_one_sample_is_named() -> None:
    """Its divisor n - 1 is zero."""
    features = np.random.default_rng(0).normal(size=(9, 2))
    with pytest.raises(NumericalError, match="Class 2 has one sample"):
        scored("gmm", Activations(features), np.array([0, 0, 0, 0, 1, 1, 1, 1, 2]), Activations(features))
