from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import logsumexp

from analysis.algebra.class_scatter import class_statistics
from analysis.algebra.residual_space import axes, head_origin, ninco_dimensions
from analysis.algebra.subspace import norms_inside, subspace
from analysis.detectors import FitInputs, get
from analysis.rows.activations import Activations, normalise
from analysis.rows.head import Head
from featurestore.errors import MissingError, NumericalError
from tests.analysis.conftest import Labelled, clustered
from tests.analysis.gathered import gathered, scored
from tests.analysis.modelled import Modelled, activations_of, modelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[Any]

DIMENSIONS = {
    "vim": lambda dim: dim // 2,
    "vim.openood": lambda dim: 256 if dim > 256 else dim // 2,
    "residual": lambda dim: 512 if dim > 512 else dim // 2,
    "residual.openood": lambda dim: 512 if dim > 512 else dim // 2,
}


def naive_residual_axes(model: Modelled, dim: int) -> tuple[Float64, Float64]:
    """u, and R from the eigenvectors of sum (h - u)(h - u)', one sample at a time."""
    fed = normalise(model.rows.feature) if model.head.normalizes else model.rows.feature.astype(float)
    origin = -np.linalg.pinv(model.head.weight, rcond=1.2e-7) @ model.head.bias
    scatter = sum(np.outer(row - origin, row - origin) for row in fed)
    _, vectors = np.linalg.eigh(scatter)
    return origin, vectors[:, : fed.shape[1] - dim]


def naive_norms(rows: Activations, origin: Float64, residual: Float64) -> Float64:
    assert rows.head is not None
    fed = normalise(rows.feature) if rows.head.normalizes else rows.feature.astype(float)
    return np.array([np.linalg.norm(residual.T @ (row - origin)) for row in fed])


def naive_scores(name: str, model: Modelled) -> Float64:
    origin, residual = naive_residual_axes(model, DIMENSIONS[name](model.rows.feature.shape[1]))
    norms = naive_norms(model.queries, origin, residual)
    if name.startswith("residual"):
        return -norms
    assert model.rows.logits is not None
    assert model.queries.logits is not None
    alpha = model.rows.logits.max(axis=1).mean() / naive_norms(model.rows, origin, residual).mean()
    return logsumexp(model.queries.logits, axis=1) - alpha * norms


@pytest.mark.parametrize("normalizes", [False, True])
@pytest.mark.parametrize("dim", [7, 40, 300])
@pytest.mark.parametrize("name", DIMENSIONS)
def test_scores_equal_the_formula(name: str, dim: int, normalizes: bool) -> None:
    """Shared scatter, one eigendecomposition and the shorter projection give what the definition gives."""
    model = modelled(clustered(dim, 400, dim, 6), normalizes=normalizes)
    fast = scored(name, model.rows, model.labels, model.queries, classes=6)
    assert_allclose(fast, naive_scores(name, model), rtol=1e-9)


def test_a_common_shift_of_the_logits_moves_vim_only_through_its_energy_and_alpha() -> None:
    """Residuals do not see logits; the head stays as it is."""
    model = modelled(clustered(1, 200, 12, 4))
    assert model.queries.logits is not None
    moved = Activations(model.queries.feature, model.queries.logits + 3, model.head)
    for name, shift in (("vim", 3.0), ("residual", 0.0)):
        before = scored(name, model.rows, model.labels, model.queries, classes=4)
        assert_allclose(scored(name, model.rows, model.labels, moved, classes=4), before + shift, rtol=1e-12)


def test_weights_that_sum_to_zero_over_the_classes_leave_the_origin_alone() -> None:
    """With C <= D and sum_c w_c = 0, the last singular value is rounding: float32 noise in it must not move u."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(10, 32)).astype(np.float32)
    weight -= weight.mean(axis=0)
    bias = rng.normal(size=10)
    noisy = (weight.astype(float) * (1 + 1e-8 * rng.normal(size=weight.shape))).astype(float)
    origin = head_origin(Head(weight.astype(float), bias))
    assert np.linalg.norm(origin) < 10
    assert_allclose(head_origin(Head(noisy, bias)), origin, atol=1e-5)
    assert_allclose(weight @ origin, -(bias - bias.mean()), atol=1e-5)


def test_dimensions_follow_ninco() -> None:
    """1000 of 2048 and more, 512 of 768 and more, else half."""
    assert [ninco_dimensions(dim) for dim in (10, 767, 768, 2047, 2048, 4096)] == [5, 383, 512, 512, 1000, 1000]


@pytest.mark.parametrize(
    ("name", "dim", "warned"), [("vim.openood", 256, 128), ("vim", 256, 0), ("residual", 512, 256)]
)
def test_more_dimensions_than_the_features_have_are_halved_and_said(name: str, dim: int, warned: int) -> None:
    """Nobody takes half of the dimensions for the published number without being told."""
    model = modelled(clustered(0, 300, dim, 2))
    detector = get(name)
    inputs = FitInputs(gathered(detector.needs, model.rows, model.labels), model.head)
    assert detector.fit is not None
    detector.fit(inputs)
    expected = [f"{name} takes {warned} principal dimensions, because the features have only {dim}"] if warned else []
    assert inputs.warnings == expected


@pytest.mark.parametrize("name", ["vim", "vim.openood"])
def test_features_within_their_principal_axes_are_an_error(name: str) -> None:
    """Alpha would be rounding divided into a logit."""
    case = clustered(0, 6, 40, 2)
    model = modelled(case)
    with pytest.raises(NumericalError, match=r"lie in 20 principal dimensions.*more samples"):
        scored(name, model.rows, case.labels, model.queries)


def test_a_model_without_head_is_told_so() -> None:
    """The origin is the head's."""
    statistics = class_statistics(np.ones((4, 2)), np.zeros(4, int), 1).to_arrays()
    with pytest.raises(MissingError, match="no linear head"):
        axes(statistics, None)


@pytest.mark.parametrize("inside", [0, 3, 5, 8, 10])
def test_norms_inside_a_subspace_keep_their_digits(inside: int) -> None:
    """By basis or complement, also where nearly all of a row lies outside."""
    rng = np.random.default_rng(inside)
    vectors, _ = np.linalg.qr(rng.normal(size=(10, 10)))
    weights = np.where(np.arange(10) < inside, 1e-7, 1.0) * rng.normal(size=(50, 10))
    rows = np.concatenate([weights, rng.normal(size=(50, 10))]) @ vectors.T
    direct = np.linalg.norm(rows @ vectors[:, :inside], axis=1)
    found = norms_inside(subspace(vectors, 0, inside), rows, np.einsum("nd,nd->n", rows, rows))
    assert_allclose(found, direct, rtol=1e-8, atol=1e-15)
    assert subspace(vectors, 0, inside).basis.shape[1] <= 5


def naive_neco(model: Modelled) -> Float64:
    """Z-score, principal components by SVD, ratio of norms, one query at a time."""
    features = model.rows.feature.astype(float)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation[deviation <= 1e-12 * np.abs(mean)] = 1
    _, values, axes = np.linalg.svd((features - mean) / deviation, full_matrices=False)
    kept = int(np.argmax(np.cumsum(values**2) / np.sum(values**2) >= 0.9)) + 1
    scores = []
    assert model.queries.logits is not None
    for query, logits in zip(model.queries.feature.astype(float), model.queries.logits, strict=True):
        standard = (query - mean) / deviation
        scores.append(np.linalg.norm(axes[:kept] @ standard) / np.linalg.norm(standard) * logits.max())
    return np.array(scores)


def test_neco_equals_the_formula(labelled: Labelled) -> None:
    """The correlation matrix out of class statistics gives the axes that the rows themselves give."""
    model = modelled(labelled)
    fast = scored("neco", model.rows, model.labels, model.queries, classes=labelled.num_classes)
    assert_allclose(fast, naive_neco(model), rtol=1e-6)
    other = model.shuffled()
    again = scored("neco", other.rows, other.labels, model.queries, classes=labelled.num_classes, shards=3)
    assert_allclose(again, fast, rtol=1e-6)


def test_neco_needs_features_that_vary() -> None:
    """Equal rows have no principal axes."""
    head = Head(np.ones((2, 3)), np.zeros(2))
    rows = activations_of(np.ones((5, 3)), head)
    with pytest.raises(NumericalError, match="No feature varies"):
        scored("neco", rows, np.zeros(5, int), rows, classes=2)
