"""Every shipped detector keeps the rules of all detectors, and whatever breaks one is told which."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from analysis.detectors import Detector, detectors, get
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.detectors.testing import RULES, BrokenRuleError, check_detector, plain_task, scores_of
from analysis.rows.checks import same_dimensions
from analysis.statistics.class_statistics import CLASS_STATISTICS
from analysis.statistics.statistic import Statistic
from tests.analysis.detectors.light import LIGHT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from analysis.detectors import FitInputs
    from analysis.rows.activations import Activations, Block
    from analysis.statistics.statistic import SweepContext

# A thousandth, or ten of twelve, neighbours are not near.
NEARER = {"knn": "knn@k=20", "knn.sampled": "knn.sampled@k=1"}


@pytest.mark.parametrize("name", sorted({**LIGHT, **NEARER}.get(name, name) for name in detectors()))
def test_shipped_detectors_keep_all_rules(name: str) -> None:
    """Those of which the defaults ask for more rows than the task has, or more seconds than a test, as variants."""
    check_detector(name)


class Sums:
    """The sum of the features, and what a subclass makes of a block beside."""

    def __init__(self, context: SweepContext) -> None:
        self.total = np.zeros(context.dim)

    def update(self, block: Block) -> None:
        self.total += block.activations.feature64.sum(axis=0)

    def merge(self, other: Sums) -> None:
        self.total += other.total

    def finish(self) -> dict[str, NDArray[Any]]:
        return {"total": self.total}


class Last(Sums):
    """The last rows alone."""

    def update(self, block: Block) -> None:
        if len(block):
            self.total = block.activations.feature64[-1]

    def merge(self, other: Sums) -> None:
        self.total = other.total


class Writing(Sums):
    """Squares in place what others read after it."""

    def update(self, block: Block) -> None:
        unit = block.activations.normalised64
        np.square(unit, out=unit)
        super().update(block)


class Unmerged(Sums):
    """Forgets the lanes that come later."""

    def merge(self, other: Sums) -> None:
        pass


class Empty(Sums):
    """Meets no block without rows."""

    def update(self, block: Block) -> None:
        self.total += block.activations.feature64[0] * len(block)


def direction(inputs: FitInputs, statistic: Statistic) -> NDArray[np.float64]:
    total = inputs.need(statistic)["total"]
    return total / np.linalg.norm(total)


def along(fit: NDArray[np.float64], activations: Activations) -> NDArray[np.float64]:
    same_dimensions(activations.feature, len(fit))
    return np.asarray(activations.feature64 @ fit)


def learning(kind: type[Sums]) -> Detector[Any]:
    """Length along the mean feature: a detector that keeps all rules, if its statistic does."""
    statistic = Statistic(f"of-{kind.__name__.lower()}", kind)
    fit = partial(direction, statistic=statistic)
    return Detector("mine", "M", "f", "s", fitted_on="fit features", score=along, fit=fit, needs=(statistic,))


def scoring(score: Callable[..., Any], **also: Any) -> Detector[Any]:
    return Detector("mine", "M", "f", "s", score=score, **also)


def written_into(_fit: None, activations: Activations) -> NDArray[np.float64]:
    features = activations.feature64
    features *= 2
    return np.asarray(np.linalg.norm(features, axis=1)) / 2


def norm(_fit: None, activations: Activations) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(activations.feature64, axis=1))


def ignoring(fit: None, activations: Activations, *, k: int) -> NDArray[np.float64]:  # noqa: ARG001 # that is what is wrong with it
    return norm(fit, activations)


def cut(fit: NDArray[np.float64], activations: Activations) -> NDArray[np.float64]:
    return np.asarray(activations.feature64[:, : len(fit)] @ fit)


K = Hyperparameter("k", 10, 1, 50, "what it does not read")
ENERGY, MAHALANOBIS = get("energy"), get("mahalanobis")
LABELS_UNSAID = replace(CLASS_STATISTICS, labelled=False)

BROKEN: Mapping[str, tuple[Detector[Any], str, str]] = {
    "float32": (scoring(lambda _, a: norm(None, a).astype(np.float32)), "finite float64", "float32, not float64"),
    "the last row": (learning(Last), "order, shards", "shuffled fit rows"),
    "one lane": (learning(Unmerged), "order, shards", "shuffled fit rows"),
    "a mean of the block": (
        scoring(lambda _, a: norm(None, a) - norm(None, a).sum() / 99), "does not depend on the others", "other company",
    ),
    "features in place": (scoring(written_into), "left as they are", "writes into feature64 of a block"),
    "unit features in place": (learning(Writing), "left as they are", "writes into normalised64 of a block"),
    "logits unsaid": (replace(ENERGY, needs_logits=False), "declared needs", "hold no logits"),
    "logits for nothing": (scoring(norm, needs_logits=True), "declared needs", "other logits make no difference"),
    "features unsaid": (scoring(norm, needs_features=False), "declared needs", "without features"),
    "a head unsaid": (
        scoring(lambda _, a: np.abs(a.head_input64).sum(axis=1)), "declared needs", "a head that normalises",
    ),
    "a head for nothing": (replace(MAHALANOBIS, needs_head=True), "declared needs", "no other head makes a difference"),
    "labels unsaid": (
        replace(MAHALANOBIS, needs=(LABELS_UNSAID,)), "declared needs", "label",
    ),
    "a constant for show": (scoring(ignoring, hyperparameters=(K,)), "constants matter", "no other value of k"),
    "upside down": (scoring(lambda _, a: -norm(None, a)), "ID is above OOD", "the ID one is above in"),
    "other dimensions": (replace(learning(Sums), score=cut), "other dimensions are refused", "are scored"),
}  # fmt: skip


def broken_rules(detector: Detector[Any]) -> dict[str, str]:
    found = {}
    for rule in RULES:
        try:
            check_detector(detector, rule)
        except BrokenRuleError as error:
            found[rule] = str(error)
    return found


@pytest.mark.parametrize("what", BROKEN)
def test_a_detector_that_breaks_one_rule_is_told_which(what: str) -> None:
    """That one and no other, by name, with what is wrong; all rules together find it, too."""
    detector, rule, said = BROKEN[what]
    ((name, message),) = broken_rules(detector).items()
    assert rule in name
    assert said in message
    assert message.startswith(f"Detector {detector.name} breaks the rule that {name}: ")
    with pytest.raises(BrokenRuleError, match=rule):
        check_detector(detector)


def test_what_keeps_the_rules_passes() -> None:
    """The detectors that the broken ones were made from."""
    for detector in (learning(Sums), scoring(norm), ENERGY, MAHALANOBIS):
        assert not broken_rules(detector)


def test_blocks_without_rows_and_statistics_unsaid_end_in_words() -> None:
    """What a detector raises is part of the message, not a traceback of ours."""
    with pytest.raises(BrokenRuleError, match="IndexError: index 0 is out of bounds"):
        check_detector(learning(Empty))
    with pytest.raises(BrokenRuleError, match=r"Fitting needs the statistics 'class-statistics'; collected are: none"):
        check_detector(replace(MAHALANOBIS, needs=()))


def test_the_task_is_plain_and_the_same_each_time() -> None:
    """The head classifies nine of ten fit rows as labelled; scores are those of any other run."""
    task = plain_task()
    assert 0.85 < np.mean(task.rows.predicted == task.labels) < 0.95
    assert (task.rows.feature >= 0).all()
    assert np.array_equal(scores_of(MAHALANOBIS, task), scores_of(MAHALANOBIS, plain_task()))
