from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import logsumexp

from analysis.rows.activations import Activations, normalise
from featurestore.errors import NumericalError
from tests.analysis.conftest import clustered
from tests.analysis.gathered import fitted_and_warned, scored
from tests.analysis.modelled import Modelled, modelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[Any]

DIMENSIONS = {
    "vim": lambda dim: dim // 2,
    "vim.openood": lambda dim: 256 if dim > 256 else dim // 2,
    "vim@dim=5": lambda _: 5,
    "residual@dim=3": lambda _: 3,
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
    alpha = model.rows.logits64.max(axis=1).mean() / naive_norms(model.rows, origin, residual).mean()
    return logsumexp(model.queries.logits64, axis=1) - alpha * norms


@pytest.mark.parametrize("normalizes", [False, True])
@pytest.mark.parametrize("dim", [7, 40, 300])
@pytest.mark.parametrize("name", DIMENSIONS)
def test_scores_equal_the_formula(name: str, dim: int, normalizes: bool) -> None:
    """Shared scatter, one eigendecomposition and the shorter projection give what the definition gives."""
    model = modelled(clustered(dim, 400, dim, 6), normalizes=normalizes)
    fast = scored(name, model.rows, model.labels, model.queries, classes=6)
    assert_allclose(fast, naive_scores(name, model), rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "dim", "warned"), [("vim.openood", 256, 128), ("vim", 256, 0), ("residual", 512, 256)]
)
def test_more_dimensions_than_the_features_have_are_halved_and_said(name: str, dim: int, warned: int) -> None:
    """Nobody takes half of the dimensions for the published number without being told."""
    model = modelled(clustered(0, 300, dim, 2))
    _, found = fitted_and_warned(name, model.rows, model.labels)
    expected = [f"{name} takes {warned} principal dimensions, because the features have only {dim}"] if warned else []
    assert found == expected


@pytest.mark.parametrize("name", ["vim", "vim.openood"])
def test_features_within_their_principal_axes_are_an_error(name: str) -> None:
    """Alpha would be rounding divided into a logit."""
    case = clustered(0, 6, 40, 2)
    model = modelled(case)
    with pytest.raises(NumericalError, match=r"lie in 20 principal dimensions.*more samples"):
        scored(name, model.rows, case.labels, model.queries)
