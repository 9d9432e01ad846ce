from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.testing import assert_allclose

from analysis.detectors import fit_in_memory, get, score_checked
from analysis.rows.activations import Activations
from analysis.rows.head import Head
from featurestore.errors import InputError, MissingError, NumericalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[np.float64]


def embedded(seed: int, labels: int = 23, *, scale: float = 1.0) -> tuple[Float64, Head]:
    """Features, and a head of five classes and some negative labels."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(5, 8))
    features = weight[rng.integers(0, 5, 40)] + rng.normal(size=(40, 8))
    return features * scale, Head(weight * scale, np.zeros(5), True, rng.normal(size=(labels, 8)) * scale)


def unit(row: Float64) -> Float64:
    row = row / np.abs(row).max()
    return row / np.linalg.norm(row)


def naive(row: Float64, head: Head, temperature: float, groups: int) -> float:
    """One group and one label at a time; which labels are a group follows from the seed."""
    assert head.negatives is not None
    groups = min(groups, len(head.negatives))
    size = len(head.negatives) // groups
    shuffled = np.random.default_rng(0).permutation(size * groups)
    wanted = [unit(w) @ unit(row) / temperature for w in head.weight]
    shares = []
    for group in range(groups):
        others = [
            unit(head.negatives[n]) @ unit(row) / temperature for n in shuffled[group * size : (group + 1) * size]
        ]
        largest = max(wanted + others)
        top, rest = (math.fsum(math.exp(cosine - largest) for cosine in cosines) for cosines in (wanted, others))
        shares.append(top / (top + rest))
    return math.fsum(shares) / groups


@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200])
@pytest.mark.parametrize(("temperature", "groups"), [(0.01, 100), (1.0, 1), (0.3, 4), (0.05, 23)])
def test_scores_equal_the_formula(temperature: float, groups: int, scale: float) -> None:
    """With groups that leave labels over, one group, as many as there are labels, and more."""
    features, head = embedded(1, scale=scale)
    detector = get("neglabel").with_values(temperature=temperature, groups=groups)
    slow = [naive(row, head, temperature, groups) for row in features]
    assert_allclose(score_checked(detector, None, Activations(features, head=head)), slow, rtol=1e-9)


def test_a_negative_label_nearby_lowers_the_score_and_a_class_nearby_raises_it() -> None:
    """Of features at a class and at a negative label."""
    _, head = embedded(2)
    assert head.negatives is not None
    at = Activations(np.stack([head.weight[0], head.negatives[0]]), head=head)
    first, second = score_checked(get("neglabel").with_values(groups=1), None, at)
    assert first > 0.99
    assert second < 0.01


def test_without_negative_labels_the_remedy_is_named() -> None:
    """And so is one whose embedding is zero."""
    features, head = embedded(3)
    assert head.negatives is not None
    bare = Head(head.weight, head.bias, True)
    with pytest.raises(InputError, match=r"give head=Head\(weight, bias, normalizes, negatives\)"):
        fit_in_memory("neglabel", features, head=bare)
    with pytest.raises(MissingError, match=r"--head FILE\.npz that has `negatives`"):
        score_checked(get("neglabel"), None, Activations(features, head=bare))
    head.negatives[4] = 0
    with pytest.raises(NumericalError, match="embedding of negative label 4 is zero"):
        score_checked(get("neglabel"), None, Activations(features, head=head))
    with pytest.raises(InputError, match=r"with the head's 8 dimensions; got \[3, 7\]"):
        Head(head.weight, head.bias, True, np.ones((3, 7)))
