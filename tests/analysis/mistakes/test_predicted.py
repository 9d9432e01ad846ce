"""What a head says of samples: whole against block by block, precise, and refused where it is nonsense."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.special import log_softmax

from analysis.mistakes import predicted
from analysis.mistakes.predicted import NO_LABELS, Predicted, read_predicted
from featurestore.errors import InputError, NumericalError
from tests.analysis.synthetic import write_datasets, write_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from featurestore import Lake

NUMBERS = ("sample", "right", "confidence", "nll", "brier")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("scale", [1, 100])
def test_numbers_are_those_of_the_softmax(monkeypatch: pytest.MonkeyPatch, dtype: Any, scale: int) -> None:
    """In float64, of however many rows at a time; where probabilities underflow the logarithm is still right."""
    generator = np.random.default_rng(0)
    logits = (generator.normal(size=(50, 7)) * scale).astype(dtype)
    labels = np.where(np.arange(50) % 5, generator.integers(0, 7, 50), -1)
    whole = Predicted.of(np.arange(50), logits, labels)
    logarithm = log_softmax(logits.astype(np.float64), axis=1)[labels >= 0]
    p, own = np.exp(logarithm), labels[labels >= 0]
    assert whole.sample.tolist() == np.flatnonzero(labels >= 0).tolist()
    assert whole.right.tolist() == (logits.argmax(axis=1) == labels)[labels >= 0].tolist()
    np.testing.assert_allclose(whole.nll, -logarithm[np.arange(len(own)), own], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(whole.confidence, p.max(axis=1), rtol=1e-12)
    np.testing.assert_allclose(whole.brier, ((p - np.eye(7)[own]) ** 2).sum(axis=1), rtol=1e-9, atol=1e-14)
    monkeypatch.setattr(predicted, "_CELLS", 20)
    small = Predicted.of(np.arange(50), logits, labels)
    parts = Predicted.joined(
        Predicted.of(np.arange(50)[at], logits[at], labels[at]) for at in np.split(np.arange(50), 10)
    )
    for name in NUMBERS:
        assert np.array_equal(getattr(whole, name), getattr(small, name))
        assert np.array_equal(getattr(whole, name), getattr(parts, name))


def test_of_equal_logits_the_first_counts() -> None:
    """As in the accuracy."""
    assert Predicted.of(np.arange(2), np.zeros((2, 3)), np.array([0, 1])).right.tolist() == [True, False]


@pytest.mark.parametrize(
    ("logits", "labels", "error", "message"),
    [
        (np.zeros((2, 3)), np.array([0, 3]), InputError, "Label 3 in row 1"),
        (np.array([[0.0, np.nan]]), np.array([0]), NumericalError, "Logits row 0"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    logits: NDArray[Any], labels: NDArray[Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Predicted.of(np.arange(len(labels)), logits, labels)


def test_samples_are_found_by_their_number() -> None:
    """Whatever order they are asked for in, and though some have no label."""
    found = Predicted.of(np.array([2, 5, 9]), np.zeros((3, 2)), np.array([0, -1, 1]))
    place, known = found.places(np.array([9, 5, 2, 0, 12]))
    assert known.tolist() == [True, False, True, False, False]
    assert found.sample[place[known]].tolist() == [9, 2]
    assert Predicted.none("x").places(np.array([1]))[1].tolist() == [False]


def test_a_lake_is_read_as_a_whole(lake: Lake) -> None:
    """Fragment by fragment; without labels, and without predictions, there is nothing, and a reason."""
    write_datasets(lake)
    write_model(lake, "m", rows_per_fragment=7, unlabelled={"test": 4})
    found = read_predicted(lake, "m", "test")
    assert found.sample.tolist() == [sample for sample in range(60) if sample != 4]
    assert not found.lacking
    rows = lake.scan("activations", model="m", dataset="test").collect()
    right = [
        max(range(3), key=row["logits"].__getitem__) == row["label"] for row in rows.to_dicts() if row["sample"] != 4
    ]
    assert found.right.tolist() == right
    assert read_predicted(lake, "m", "far").lacking == NO_LABELS
    assert len(read_predicted(lake, "m", "test", "no head").sample) == 0
    assert read_predicted(lake, "m", "test", "no head").lacking == "no head"
