"""Whether labels are what a model's head means by its outputs: evidence from the model's own predictions.

A map sends each label to an output of the head. Maps that have a likely cause are tried as they are. The best one-to-one map
is learned from one half of the samples and judged on the other, so that it owes nothing to chance.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array, csr_array, eye_array, hstack
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.stats import binom

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from extract.predictions.predictions import Predictions

_FEWEST = 30
"""Samples below which nothing is said to be at chance level."""
_CHANCE = 0.05
"""Probability of as many hits by chance, above which accuracy is at chance level."""
_SURE = 1e-4
"""Probability, if a map were no better than the labels, below which it is believed."""
_AS_GOOD = 0.8
"""Share of the best map's hits from which a map with a likely cause is the explanation."""
_AGAIN = " (`featurestore dataset add` with --replace, then `extract` with --replace)"
_LABELS = "give the head's index of each class with --labels FILE" + _AGAIN
# Devkit ids, from 1, and indices of the same classes: the first images of ImageNet's validation set.
_DEVKIT = {490: 65, 361: 970, 171: 230, 822: 809, 297: 516}


@dataclass(frozen=True, slots=True)
class ClassMap:
    """Outputs of the head by label, what would be the reason, and what to do then."""

    output: Mapping[int, int]
    cause: str
    remedy: str


def doubt(predictions: Predictions, class_names: Mapping[int, str]) -> str:
    """What makes the labels or the model doubtful, with the remedy; an empty text if nothing does.

    Args:
        predictions: Labelled samples with their predicted classes, in the order of the dataset.
        class_names: The name of each label's class, as far as labels and names are one to one.
    """
    if not len(predictions):
        return ""
    own = predictions.accuracy.top1
    found = _better_map(predictions, class_names)
    if found:
        other, share = found
        return (
            f"with the classes in another order top-1 would be {share:.1%} in the place of {own:.1%}, by the model's own "
            f"predictions. The likely cause: {other.cause}. The remedy: {other.remedy}."
        )
    chance = _chance_level(predictions)
    if len(predictions) < _FEWEST or binom.sf(predictions.accuracy.top1_hits - 1, len(predictions), chance) < _CHANCE:
        return ""
    return (
        f"top-1 of {own:.1%} is at chance level ({chance:.1%}). Are weights, head and preprocessing those that it was "
        "trained with, and are the labels the head's indices? --labels FILE of `dataset add` states them."
    )


def _chance_level(predictions: Predictions) -> float:
    """Share of hits if predictions had nothing to do with labels, but were as frequent as they are."""
    labels = np.bincount(predictions.label, minlength=predictions.classes)
    guesses = np.bincount(predictions.predicted, minlength=predictions.classes)
    uniform = 1 / predictions.classes
    if np.count_nonzero(labels) < 2:  # of one class nobody can tell
        return uniform
    return max(uniform, float(labels / labels.sum() @ (guesses / guesses.sum())))


def _better_map(predictions: Predictions, class_names: Mapping[int, str]) -> tuple[ClassMap, float] | None:
    """A map that explains predictions far better than the labels do, and its share of hits."""
    label, predicted = predictions.label, predictions.predicted
    learned = _best_assignment(label, predicted)
    most = _hits(learned, label, predicted)
    named = [
        (found, _hits(found.output, label, predicted))
        for found in _named_maps(class_names, range(int(label.max()) + 1))
    ]
    best, share = max(named, key=lambda pair: pair[1])
    if share >= _AS_GOOD * most and _is_far_better(best.output, label, predicted):
        return best, share
    # Even samples against odd ones: datasets are sorted by class, so both halves have all of them.
    if _is_far_better(_best_assignment(label[::2], predicted[::2]), label[1::2], predicted[1::2]):
        return _explained(learned, predictions), most
    return None


def _is_far_better(output: Mapping[int, int], label: NDArray[np.int64], predicted: NDArray[np.int64]) -> bool:
    """Whether a map doubles the hits or halves the misses of the labels, which chance does not do."""
    mapped = _outputs(output, label)
    gained, lost = (
        int(((mapped == predicted) & (label != predicted)).sum()),
        int(((mapped != predicted) & (label == predicted)).sum()),
    )
    right = int((label == predicted).sum())
    after = right + gained - lost
    far = after >= 2 * right or 2 * (len(label) - after) <= len(label) - right
    return gained > lost and far and bool(binom.sf(gained - 1, gained + lost, 0.5) < _SURE)


def _hits(output: Mapping[int, int], label: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    return float(np.mean(_outputs(output, label) == predicted))


def _outputs(output: Mapping[int, int], label: NDArray[np.int64]) -> NDArray[np.int64]:
    """The outputs that a map gives to labels; a label that it does not know stays as it is."""
    values, inverse = np.unique(label, return_inverse=True)
    return np.array([output.get(value, value) for value in values.tolist()], np.int64)[inverse]


def _best_assignment(label: NDArray[np.int64], predicted: NDArray[np.int64]) -> dict[int, int]:
    """The one-to-one map of labels to outputs with the most hits; in memory by the pairs that occur."""
    labels, rows = np.unique(label, return_inverse=True)
    outputs, columns = np.unique(predicted, return_inverse=True)
    counts = coo_array((np.ones(len(label)), (rows, columns)), (len(labels), len(outputs))).tocsr()
    # Each label has an output of its own besides, so that all can be matched; zeros would be no entries, hence the ones.
    counts.data += 1
    weights = csr_array(hstack([counts, eye_array(len(labels))]))
    matched, chosen = min_weight_full_bipartite_matching(weights, maximize=True)
    pairs = zip(labels[matched].tolist(), chosen.tolist(), strict=True)
    return {one: int(outputs[column]) for one, column in pairs if column < len(outputs)}


def _named_maps(class_names: Mapping[int, str], labels: range) -> Iterator[ClassMap]:
    """The maps that have a likely cause."""
    names = {name: label for label, name in class_names.items()}
    orders = {
        "text": sorted(names),
        "natural": sorted(names, key=_natural),
        "caseless": sorted(names, key=str.casefold),
    }
    place = {order: {names[name]: index for index, name in enumerate(of)} for order, of in orders.items()}
    for order, other, example in (("natural", "text", '"10" before "2"'), ("text", "natural", '"2" before "10"')):
        numbered = all(index == label for label, index in place[other].items())
        theirs = (
            f"the labels number the classes in {other} order ({example})"
            if numbered
            else "the labels do not follow the names"
        )
        cause = f"{theirs}, and the model has them in {order} order"
        yield ClassMap(place[order], cause, f"--label-order {order}{_AGAIN}")
    yield ClassMap(place["caseless"], "the model has the classes in an order that does not regard case", _LABELS)
    if names and all(name.isdecimal() for name in names):
        yield ClassMap(
            {label: int(name) for name, label in names.items()},
            "the classes' names are the head's indices",
            f"--label-kind index{_AGAIN}",
        )
    yield ClassMap(
        {label: label + 1 for label in labels},
        "the head has a class before the first one, as one of background",
        _LABELS,
    )
    yield ClassMap({label: label - 1 for label in labels}, "the labels count from 1, and the head from 0", _LABELS)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A key by which numbers in names count as numbers."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name)]


def _explained(output: Mapping[int, int], predictions: Predictions) -> ClassMap:
    """A learned map with its likely cause."""
    shifts = [sum(output.get(number - first) == index for number, index in _DEVKIT.items()) for first in (0, 1)]
    if max(shifts) >= len(_DEVKIT) - 1:
        remedy = "--label-kind devkit, with --synsets" + _AGAIN
        return ClassMap(
            output, "the labels are ids of ImageNet's devkit, and the model has the wnids' lexical order", remedy
        )
    ordered = [output[label] for label in sorted(output)]
    if len(output) < predictions.classes and len(ordered) > 2 and _ascending(ordered):  # two may be so by chance
        cause = (
            f"the labels number the {len(output):,} classes of the dataset, which are a subset of the head's "
            f"{predictions.classes:,}"
        )
        return ClassMap(output, cause, _LABELS)
    return ClassMap(output, "an unknown permutation of the classes, or a head that was not trained on them", _LABELS)


def _ascending(values: Sequence[int]) -> bool:
    """Whether nine of ten neighbours ascend."""
    return bool(np.mean(np.diff(values) > 0) >= 0.9)
