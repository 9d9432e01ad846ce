from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from analysis.algebra.class_scatter import class_statistics
from analysis.algebra.residual_space import axes, head_origin, ninco_dimensions, norms_inside, subspace
from analysis.rows.head import Head
from featurestore.errors import MissingError


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
