"""The rules that every detector is held to, shipped or of a plugin: `check_detector(MINE)` in a test of one's own.

Each rule is checked on made-up activations of a small model, in a fraction of a second and without a lake.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.detectors.checked_scores import finite_scores, score_checked
from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.held_rows import CLASSES, DIM, HeldRows, Task, in_shards, plain_task
from analysis.detectors.registry import get
from analysis.rows.activations import Activations
from analysis.statistics.statistic import SweepContext, with_earlier
from analysis.statistics.sweep import gather
from featurestore.errors import InputError, LakeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from analysis.detectors.hyperparameter import Constant, Hyperparameter
    from analysis.rows.head import Head

    Scores = NDArray[np.float64]

_DERIVED = ("feature64", "normalised64", "logits64", "shifted_logits", "exponentials", "probabilities")


class BrokenRuleError(AssertionError):
    """A detector breaks a rule; the message names both, and says how."""


def scores_of(detector: Detector[Any], task: Task, **how: Any) -> Scores:
    """What a detector that has learned from the rows of a task says of its queries.

    Args:
        detector: The detector.
        task: The task.
        how: What `HeldRows` takes besides: `sample`, `rows_per_block`, `shards`.
    """
    rows = HeldRows(task.rows, task.labels, **how)
    # Of one's own, so that whoever writes into them spoils no other check.
    queries = task.queries.part(np.arange(len(task.queries)))
    queries = rows.watch(queries) if rows.watch else queries
    context = SweepContext(
        CLASSES, task.rows.feature.shape[1], len(task.rows), str(task.rows.feature.dtype), task.rows.head
    )
    needs = [need.for_head(task.rows.head) for need in detector.statistics]
    gathered = gather(rows, needs, context, run=in_shards) if needs else {}
    if detector.compare:
        statistic = detector.compare_with_all(queries)
        found = gather(rows, [statistic], replace(context, results=gathered), run=in_shards)[statistic.name]["score"]
        return finite_scores(detector.name, found, len(queries))
    # Nothing but what it says that it needs.
    inputs = FitInputs({need.name: gathered[need.name] for need in needs}, task.rows.head, context.dtype)
    return score_checked(detector, detector.fit_to(inputs), queries)


def _gives_finite_float64(detector: Detector[Any]) -> None:
    task = plain_task()
    for queries in (task.queries, task.queries.part(slice(0, 1)), task.queries.part(slice(0, 0))):
        scores = scores_of(detector, replace(task, queries=queries))
        if scores.dtype != np.float64:
            raise BrokenRuleError(f"scores are {scores.dtype}, not float64")


def _ignores_order_and_shards_of_fit_rows(detector: Detector[Any]) -> None:
    if not detector.learns:
        return
    task = plain_task()
    order = np.random.default_rng(1).permutation(len(task.labels))
    shuffled = replace(task, rows=task.rows.part(order), labels=task.labels[order])
    once = scores_of(detector, task)
    for how in ({"rows_per_block": 97}, {"rows_per_block": 300, "shards": 3}):
        _check_equal(
            scores_of(detector, shuffled, sample=order, **how), once, "shuffled fit rows in other blocks and shards"
        )


def _ignores_the_other_samples(detector: Detector[Any]) -> None:
    task = plain_task()
    order = np.random.default_rng(2).permutation(len(task.queries))
    once = scores_of(detector, task)
    parts = np.split(order, [1, 30])
    each = [scores_of(detector, replace(task, queries=task.queries.part(part))) for part in parts]
    _check_equal(np.concatenate(each), once[order], "samples that are scored in other company")


def _leaves_blocks_as_they_are(detector: Detector[Any]) -> None:
    task = plain_task()
    seen: list[tuple[Activations, dict[str, NDArray[Any]]]] = []

    def watched(block: Activations) -> Activations:
        # What is derived is shared by detectors, as much as what is stored.
        names = [name for name in _DERIVED if block.logits is not None or name in _DERIVED[:2]]
        kept = {name: np.array(getattr(block, name)) for name in names if block.feature.shape[1]}
        seen.append((block, kept))
        return block

    # Of float64, features as stored are those that a detector computes with.
    exact = Activations(task.queries.feature.astype(np.float64), task.queries.logits, task.head)
    for queries in (task.queries, exact):
        scores_of(detector, replace(task, queries=queries), watch=watched)
    for block, kept in seen:
        for name, before in kept.items():
            if not np.array_equal(getattr(block, name), before):
                raise BrokenRuleError(f"it writes into {name} of a block, which others read after it: work on a copy")


def _needs_what_it_declares(detector: Detector[Any]) -> None:
    task = plain_task()
    head = task.head
    once = scores_of(detector, task)
    if not detector.needs_logits and detector.score:
        _check_equal(
            scores_of(detector, task.with_head(head, logits=False)),
            once,
            "needs_logits is False: samples without logits",
        )
    if not detector.needs_features and detector.score:
        bare = Activations(task.queries.feature[:, :0], task.queries.logits, head)
        _check_equal(
            scores_of(detector, replace(task, queries=bare)), once, "needs_features is False: samples without features"
        )
    normalising = replace(head, normalizes=True)
    if not detector.needs_head:
        for other, what in ((None, "no head"), (normalising, "a head that normalises")):
            _check_equal(scores_of(detector, task.with_head(other)), once, f"needs_head is False: {what}")
    elif all(_same(scores_of(detector, task.with_head(other)), once) for other in (normalising, _turned(head))):
        raise BrokenRuleError(
            "needs_head is True, and no other head makes a difference: models without a head are left out for nothing"
        )
    if not detector.needs_negatives:
        _check_equal(
            scores_of(detector, task.with_head(replace(head, negatives=None))),
            once,
            "needs_negatives is False: a head without them",
        )
    if detector.needs_logits and detector.score:
        turned = Activations(task.queries.feature, np.roll(np.asarray(task.queries.logits), 1, axis=0) * 2, head)
        if _same(scores_of(detector, replace(task, queries=turned)), once):
            raise BrokenRuleError("needs_logits is True, and other logits make no difference")
    every = with_earlier(
        detector.statistics if detector.score else (*detector.statistics, detector.compare_with_all(task.queries))
    )
    if every and not any(need.labelled for need in every):
        unlabelled = replace(task, labels=np.full_like(task.labels, -1))
        _check_equal(
            scores_of(detector, unlabelled), once, "none of its statistics is labelled: fit rows without labels"
        )


def _turned(head: Head) -> Head:
    return replace(head, weight=-head.weight[::-1])


def _has_constants_that_matter(detector: Detector[Any]) -> None:
    # Few rows make covariances singular, and samples rare.
    tasks = (plain_task(), plain_task(400), plain_task(40))
    for constant in detector.hyperparameters:
        if not any(_matters(detector, constant, task) for task in tasks):
            raise BrokenRuleError(
                f"no other value of {constant.name} makes a difference, though its name says that it counts"
            )


def _matters(detector: Detector[Any], constant: Hyperparameter, task: Task) -> bool:
    once = _unless_refused(detector, task)
    for value in _others(constant, detector.values[constant.name]):
        other = _unless_refused(detector.with_values(**{constant.name: value}), task)
        if (other is None) != (once is None) or (other is not None and once is not None and not _same(other, once)):
            return True
    return False


def _unless_refused(detector: Detector[Any], task: Task) -> Scores | None:
    try:
        return scores_of(detector, task)
    except LakeError:
        return None


def _others(constant: Hyperparameter, value: Constant) -> Iterator[int | float]:
    """Other values, the likely ones first."""
    about = 2.0 if value is None else float(value)
    tried = [
        about / 2,
        about * 2,
        about + 1,
        about - 1,
        (about + constant.low) / 2,
        (about + min(constant.high, 1e3)) / 2,
    ]
    tried += [end for end in (constant.low, constant.high) if np.isfinite(end)]
    for one in dict.fromkeys(round(one) if constant.is_whole else one for one in tried):
        if constant.low <= one <= constant.high and one != value:
            yield one


def _tells_id_from_ood(detector: Detector[Any]) -> None:
    scores = scores_of(detector, plain_task())
    known, strange = np.split(scores, 2)
    above = float(((known[:, None] > strange) + (known[:, None] == strange) / 2).mean())
    if above < 0.6:
        raise BrokenRuleError(
            f"higher scores are more in-distribution, but of plain ID and OOD samples the ID one is above in {above:.0%}"
        )


def _refuses_other_dimensions(detector: Detector[Any]) -> None:
    reads = {column for need in with_earlier(detector.statistics) for column in need.reads}
    if not (detector.compare or detector.needs_head or "feature" in reads):
        return
    task = plain_task()
    wide = np.ones((4, DIM + 1), np.float32)
    queries = Activations(wide, np.ones((4, CLASSES), np.float32), task.rows.head)
    try:
        scores_of(detector, replace(task, queries=queries))
    except InputError:
        return
    except Exception as error:
        raise BrokenRuleError(
            f"features of another dimension than the fit end in {type(error).__name__}, not InputError: "
            "see `analysis.rows.checks.same_dimensions`"
        ) from error
    raise BrokenRuleError(
        "features of another dimension than the fit are scored: see `analysis.rows.checks.same_dimensions`"
    )


RULES: dict[str, Callable[[Detector[Any]], None]] = {
    "finite float64": _gives_finite_float64,
    "order, shards and blocks of the fit rows do not matter": _ignores_order_and_shards_of_fit_rows,
    "a sample's score does not depend on the others": _ignores_the_other_samples,
    "blocks are left as they are": _leaves_blocks_as_they_are,
    "declared needs are the needs": _needs_what_it_declares,
    "constants matter": _has_constants_that_matter,
    "ID is above OOD": _tells_id_from_ood,
    "other dimensions are refused": _refuses_other_dimensions,
}
"""Each rule by name, in the order in which `check_detector` checks them."""


def check_detector(detector: str | Detector[Any], *rules: str) -> None:
    """Hold a detector to the rules of all detectors.

    Args:
        detector: The detector, or the name of one that is shipped or loaded: a variant will do, such as `knn@k=50`.
        rules: Those of `RULES` that are to be checked; without any, all.

    Raises:
        BrokenRuleError: It breaks one; the message says which, and how.

    Example:
        >>> check_detector("energy")
    """
    chosen = get(detector) if isinstance(detector, str) else detector
    for name in rules or RULES:
        try:
            RULES[name](chosen)
        except Exception as error:
            raise BrokenRuleError(f"Detector {chosen.name} breaks the rule that {name}: {_said(error)}") from error


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, BrokenRuleError | LakeError) else f"{type(error).__name__}: {error}"


def _same(found: Scores, expected: Scores) -> bool:
    scale = float(np.abs(expected).max(initial=0.0))
    return found.shape == expected.shape and bool(np.allclose(found, expected, rtol=1e-7, atol=1e-9 * scale))


def _check_equal(found: Scores, expected: Scores, what: str) -> None:
    if not _same(found, expected):
        apart = float(np.abs(found - expected).max())
        raise BrokenRuleError(f"{what} have other scores, by up to {apart:.3g}")


__all__ = ["RULES", "BrokenRuleError", "Task", "check_detector", "plain_task", "scores_of"]
