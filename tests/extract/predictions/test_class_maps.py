"""Maps of classes that explain predictions: each likely cause is named, and nothing is seen where there is nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from extract.predictions import Predictions
from extract.predictions.class_maps import doubt
from featurestore.partitions.stored_accuracy import Accuracy, accuracy_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def predictions(labels: NDArray[np.int64], meant: NDArray[np.int64], classes: int, right: float = 0.8) -> Predictions:
    """A model that mostly gives the output that is meant, and else any."""
    rng = np.random.default_rng(0)
    predicted = np.where(rng.random(len(labels)) < right, meant, rng.integers(0, classes, len(labels)))
    logits = np.eye(classes, dtype=np.float32)[predicted]
    return Predictions(classes, labels, predicted, accuracy_of(logits, labels))


def sorted_labels(classes: int, per_class: int = 20) -> NDArray[np.int64]:
    return np.repeat(np.arange(classes), per_class)


def named(names: list[str]) -> dict[int, str]:
    return dict(enumerate(names))


NUMBERS = [f"c{number}" for number in range(1, 13)]
TEXT = sorted(NUMBERS)
MIXED = ["Ant", "Cat", "Dog", "bee", "cow", "eel"]


@pytest.mark.parametrize(
    ("names", "meant", "said", "remedy"),
    [
        (TEXT, [NUMBERS.index(name) for name in TEXT], "the model has them in natural order", "--label-order natural"),
        (NUMBERS, [TEXT.index(name) for name in NUMBERS], "the model has them in text order", "--label-order text"),
        (MIXED, [0, 2, 4, 1, 3, 5], "does not regard case", "--labels FILE"),
        (["10", "14", "3", "7"], [10, 14, 3, 7], "names are the head's indices", "--label-kind index"),
        (["a", "b", "c", "d", "e"], [1, 2, 3, 4, 5], "as one of background", "--labels FILE"),
        (
            ["a", "b", "c", "d"],
            [2, 5, 11, 13],
            "the 4 classes of the dataset, which are a subset of the head's 20",
            "--labels FILE",
        ),
        (["a", "b", "c", "d", "e"], [3, 0, 4, 1, 2], "an unknown permutation", "--labels FILE"),
    ],
)
def test_the_likely_cause_is_named_with_its_remedy(names: list[str], meant: list[int], said: str, remedy: str) -> None:
    labels = sorted_labels(len(names))
    found = doubt(predictions(labels, np.array(meant)[labels], 20), named(names))
    assert said in found
    assert remedy in found
    assert abs(float(found.split("would be ")[1].split("%")[0]) - 80) < 12


def test_labels_in_no_order_of_the_names_are_not_called_text_order() -> None:
    """A file gave them; the model has natural order all the same."""
    labels = sorted_labels(len(NUMBERS))
    backwards = dict(enumerate(reversed(NUMBERS)))
    found = doubt(predictions(labels, len(NUMBERS) - 1 - labels, 20), backwards)
    assert "the labels do not follow the names, and the model has them in natural order" in found
    assert "--label-order natural" in found


def test_labels_that_count_from_one() -> None:
    labels = sorted_labels(5) + 1
    assert "the labels count from 1" in doubt(predictions(labels, labels - 1, 20), {})


def test_ids_of_imagenets_devkit_are_known_by_its_first_images() -> None:
    """All five of the classes whose ids are known; the others, by any permutation."""
    devkit = {490: 65, 361: 970, 171: 230, 822: 809, 297: 516}
    rest = np.random.default_rng(1).permutation([index for index in range(1000) if index not in devkit.values()])
    output = dict(zip((number for number in range(1, 1001) if number not in devkit), rest, strict=True)) | devkit
    labels = sorted_labels(1000, 4)
    meant = np.array([output[label + 1] for label in labels])
    found = doubt(predictions(labels, meant, 1000, right=0.9), {})
    assert "ids of ImageNet's devkit" in found
    assert "--label-kind devkit" in found


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_a_model_that_works_is_not_doubted_whatever_its_classes_are_called(classes: int) -> None:
    labels = sorted_labels(classes)
    for right in (0.6, 0.95, 1.0):
        seen = predictions(labels, labels, classes, right)
        assert doubt(seen, named(sorted(map(str, range(classes))))) == ""
        assert doubt(seen, {}) == ""


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("classes", "per_class"), [(3, 20), (10, 10), (100, 5), (1000, 2)])
def test_predictions_that_know_nothing_are_at_chance_level_and_no_map_is_seen(
    classes: int, per_class: int, seed: int
) -> None:
    """The best one-to-one map of so few samples hits many times what the labels do, by chance alone."""
    labels = sorted_labels(classes, per_class)
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(labels), classes)).astype(np.float32)
    found = doubt(Predictions.of(logits, labels), {})
    assert "another order" not in found
    assert not found or "at chance level" in found


def test_a_constant_model_is_at_chance_level_where_classes_are_not_as_frequent_as_each_other() -> None:
    labels = np.repeat([0, 1], [90, 10])
    logits = np.tile(np.float32([1, 0]), (100, 1))
    assert "top-1 of 90.0% is at chance level (90.0%)" in doubt(Predictions.of(logits, labels), {})


@pytest.mark.parametrize("labels", [np.zeros(50, np.int64), np.array([0, 1, 2]), np.empty(0, np.int64)])
def test_few_samples_and_a_single_class_say_nothing_of_a_model_that_is_right(labels: NDArray[np.int64]) -> None:
    assert doubt(Predictions.of(np.eye(3, dtype=np.float32)[labels], labels), {}) == ""


def test_too_few_samples_are_at_no_level() -> None:
    labels = np.array([0, 1, 2, 0, 1, 2])
    assert doubt(Predictions.of(np.eye(3, dtype=np.float32)[[1, 2, 0, 2, 0, 1]], labels), {}) == ""


def test_two_classes_that_are_confused_with_each_other_are_no_permutation() -> None:
    """Ten of a hundred classes, taken for their neighbours, leave the labels the better explanation of all others."""
    labels = sorted_labels(100)
    meant = np.where(labels < 10, labels ^ 1, labels)
    assert doubt(predictions(labels, meant, 100), {}) == ""


def test_memory_follows_the_pairs_that_occur() -> None:
    """A head of 21,841 classes: a dense table of counts would take four gigabytes."""
    labels = np.repeat(np.arange(21_841), 2)
    output = np.random.default_rng(2).permutation(21_841)
    found = doubt(Predictions(21_841, labels, output[labels], Accuracy(len(labels), 2, 2)), {})
    assert "top-1 would be 100.0%" in found
    assert "an unknown permutation" in found
