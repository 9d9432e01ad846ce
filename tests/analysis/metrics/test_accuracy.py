from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.metrics.accuracy import accuracy
from featurestore.errors import InputError, NumericalError
from featurestore.partitions.stored_accuracy import Accuracy

if TYPE_CHECKING:
    from numpy.typing import NDArray

a_property = settings(deadline=None, max_examples=40)
seeds = st.integers(0, 2**32 - 1)


@a_property
@given(seed=seeds, classes=st.integers(1, 8))
def test_hits_are_those_of_a_stable_sort(seed: int, classes: int) -> None:
    """The label is among the first k of the classes sorted by logit, lower index first among equals."""
    rng = np.random.default_rng(seed)
    logits, labels = rng.integers(-2, 3, (30, classes)).astype(np.float16), rng.integers(0, classes, 30)
    ranked = [sorted(range(classes), key=lambda c, row=row: (-row[c], c)) for row in logits]
    first = sum(label == order[0] for label, order in zip(labels, ranked, strict=True))
    five = sum(label in order[:5] for label, order in zip(labels, ranked, strict=True))
    assert accuracy(logits, labels) == Accuracy(30, first, five)


@a_property
@given(seed=seeds, cut=st.integers(0, 50))
def test_blocks_add_up(seed: int, cut: int) -> None:
    """Counts of two blocks sum to the counts of the whole, empty blocks included."""
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(50, 7)), rng.integers(0, 7, 50)
    parts = accuracy(logits[:cut], labels[:cut]) + accuracy(logits[cut:], labels[cut:])
    assert parts == accuracy(logits, labels)


def test_a_constant_model_is_right_about_the_first_classes_only() -> None:
    """Equal logits are no credit: ten classes of one sample each give top-1 of 0.1 and top-5 of 0.5."""
    result = accuracy(np.zeros((10, 10)), np.arange(10))
    assert (result.top1, result.top5) == (0.1, 0.5)


@pytest.mark.parametrize(
    ("logits", "labels", "error", "message"),
    [
        (np.zeros((2, 3)), np.array([0, 3]), InputError, "Label 3 in row 1"),
        (np.zeros((2, 3)), np.array([0]), InputError, "2 integers"),
        (np.array([[0.0, np.nan]]), np.array([0]), NumericalError, "Logits row 0"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    logits: NDArray[Any], labels: NDArray[Any], error: type[Exception], message: str
) -> None:
    """Labels outside the classes and NaN logits are named."""
    with pytest.raises(error, match=message):
        accuracy(logits, labels)


def test_no_samples_have_no_accuracy() -> None:
    """An empty count adds to others, but its own share is an error."""
    nothing = accuracy(np.zeros((0, 3)), np.zeros(0, int))
    assert nothing == Accuracy(0, 0, 0)
    for name in ("top1", "top5"):
        with pytest.raises(InputError, match="without labelled samples"):
            getattr(nothing, name)
