"""How well scores separate ID from OOD samples; higher scores mean more in-distribution throughout.

Ties are never broken by order: every function depends on the multisets of scores alone. NaN and infinity are errors.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from analysis.checks import score_vector
from analysis.ranks import doubled_rank
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

Aggregation = Literal["class", "class_mean", "pooled"]


@dataclass(frozen=True, slots=True)
class OodMetrics:
    """The metrics of one set of OOD samples against one set of ID samples.

    Attributes:
        n_id: Number of ID samples.
        n_ood: Number of OOD samples.
        fpr95: Share of OOD accepted at the threshold that accepts 95 % of ID (NINCO).
        auroc: Probability that an ID sample outscores an OOD sample, ties half.
        aupr_in: Area under precision-recall, ID positive.
        aupr_out: Area under precision-recall, OOD positive, scores negated.
        fpr95_ood_positive: Share of ID flagged at the threshold that catches 95 % of OOD (OpenOOD).
    """

    n_id: int
    n_ood: int
    fpr95: float
    auroc: float
    aupr_in: float
    aupr_out: float
    fpr95_ood_positive: float


@dataclass(frozen=True, slots=True)
class MetricRow:
    """The metrics of one OOD class, or of a whole OOD dataset.

    Attributes:
        aggregation: `class` (one OOD class), `class_mean` (their unweighted mean) or `pooled` (all samples as one set).
        ood_class: The class, None on aggregates.
        metrics: The numbers.
    """

    aggregation: Aggregation
    ood_class: str | None
    metrics: OodMetrics


def fpr95(id_scores: ArrayLike, ood_scores: ArrayLike) -> float:
    """Share of OOD samples accepted at 95 % true positives: mean(ood >= t), t = quantile(id, 0.05).

    Source: Bitterwolf et al. 2023 (NINCO), arXiv 2306.00826; ID is positive, the quantile interpolates linearly.

    Args:
        id_scores: Scores of ID samples, shape [n_id].
        ood_scores: Scores of OOD samples, shape [n_ood].

    Returns:
        A share in [0, 1].

    Raises:
        InputError: A list is empty.
        NumericalError: A score is NaN or infinite.
    """
    return fpr_at_tpr(id_scores, ood_scores, 0.95)


def fpr_at_tpr(id_scores: ArrayLike, ood_scores: ArrayLike, tpr: float) -> float:
    """Share of OOD samples accepted where a share `tpr` of ID samples is: mean(ood >= quantile(id, 1 - tpr)).

    Raises:
        InputError: `tpr` is not a share, or a list is empty.
        NumericalError: A score is NaN or infinite.
    """
    if not 0.0 <= tpr <= 1.0:
        raise InputError(f"A true positive rate lies between 0 and 1; got {tpr}.")
    accepted = score_vector("OOD scores", ood_scores) >= _threshold(score_vector("ID scores", id_scores), tpr)
    return float(accepted.mean())


def auroc(id_scores: ArrayLike, ood_scores: ArrayLike) -> float:
    """Area under the ROC curve, ID positive: P(id > ood) + P(id = ood) / 2, from ranks, exact up to one rounding.

    Raises:
        InputError: A list is empty.
        NumericalError: A score is NaN or infinite.
    """
    return _auroc(*_both_sorted(id_scores, ood_scores))


def aupr_in(id_scores: ArrayLike, ood_scores: ArrayLike) -> float:
    """Area under the precision-recall curve with ID positive: trapezoids between the distinct thresholds.

    Equals scikit-learn's `auc(recall, precision)` on the points of `precision_recall_curve`, as OpenOOD reports it.

    Raises:
        InputError: A list is empty.
        NumericalError: A score is NaN or infinite.
    """
    ordered_id, ordered_ood = _both_sorted(id_scores, ood_scores)
    return _precision_recall_area(*_counts_up_to(-ordered_id[::-1], -ordered_ood[::-1]))


def aupr_out(id_scores: ArrayLike, ood_scores: ArrayLike) -> float:
    """Area under the precision-recall curve with OOD positive and scores negated; else as `aupr_in`.

    Raises:
        InputError: A list is empty.
        NumericalError: A score is NaN or infinite.
    """
    return aupr_in(-score_vector("OOD scores", ood_scores), -score_vector("ID scores", id_scores))


def fpr95_ood_positive(id_scores: ArrayLike, ood_scores: ArrayLike) -> float:
    """Share of ID samples flagged where at least 95 % of OOD are: mean(id <= t), t the smallest such threshold.

    Source: OpenOOD v1.5, arXiv 2306.09301. Its ROC curve leaves out collinear points, so that tied scores may give it
    a larger value; every threshold counts here.

    Raises:
        InputError: A list is empty.
        NumericalError: A score is NaN or infinite.
    """
    return _fpr95_ood_positive(*_both_sorted(id_scores, ood_scores))


def evaluate(id_scores: ArrayLike, ood_scores: ArrayLike) -> OodMetrics:
    """Compute every metric of one set of OOD samples.

    Args:
        id_scores: Scores of ID samples in any order, shape [n_id].
        ood_scores: Scores of OOD samples in any order, shape [n_ood].

    Returns:
        The metrics.

    Raises:
        InputError: A list is empty.
        NumericalError: A score is NaN or infinite.
    """
    ordered_id, ordered_ood = _both_sorted(id_scores, ood_scores)
    return _Judge.of(ordered_id).evaluate(_Ranked.of(ordered_ood, ordered_id))


def evaluate_dataset(
    id_scores: ArrayLike, ood_scores: ArrayLike, ood_classes: Sequence[str] | NDArray[Any]
) -> tuple[MetricRow, ...]:
    """Compute every metric of an OOD dataset: per class in order of name, their unweighted mean, and pooled.

    Args:
        id_scores: Scores of ID samples in any order, shape [n_id].
        ood_scores: Scores of OOD samples, shape [n_ood].
        ood_classes: Class name of each OOD sample, shape [n_ood].

    Returns:
        One `class` row per class, then `class_mean`, whose `n_ood` is the total, then `pooled`.

    Raises:
        InputError: A list is empty, or the classes do not match the OOD scores in number.
        NumericalError: A score is NaN or infinite.
    """
    ordered_id = np.sort(score_vector("ID scores", id_scores))
    ood = score_vector("OOD scores", ood_scores)
    classes = _class_names(ood_classes, len(ood))
    names, members = np.unique(classes, return_inverse=True)
    # By class, and in each class by score.
    order = np.lexsort((ood, members))
    ends = np.cumsum(np.bincount(members))[:-1]
    judge, ranked = _Judge.of(ordered_id), _Ranked.of(ood[order], ordered_id)
    rows = [
        MetricRow("class", str(name), judge.evaluate(group))
        for name, group in zip(names, ranked.split(ends), strict=True)
    ]
    return (
        *rows,
        MetricRow("class_mean", None, _class_mean([row.metrics for row in rows])),
        MetricRow("pooled", None, judge.evaluate(ranked.take(np.argsort(ranked.scores)))),
    )


@dataclass(frozen=True, slots=True)
class _Ranked:
    """OOD scores, and for each how many ID scores are below it, and how many below or equal; all of shape [n_ood]."""

    scores: NDArray[np.float64]
    below: NDArray[np.int64]
    up_to: NDArray[np.int64]

    @classmethod
    def of(cls, scores: NDArray[np.float64], ordered_id: NDArray[np.float64]) -> _Ranked:
        below, up_to = (np.searchsorted(ordered_id, scores, side=side) for side in ("left", "right"))
        return cls(scores, below, up_to)

    def take(self, places: NDArray[np.int64]) -> _Ranked:
        return _Ranked(self.scores[places], self.below[places], self.up_to[places])

    def split(self, ends: NDArray[np.int64]) -> list[_Ranked]:
        columns = (np.split(column, ends) for column in (self.scores, self.below, self.up_to))
        return [_Ranked(*parts) for parts in zip(*columns, strict=True)]


@dataclass(frozen=True, slots=True)
class _Judge:
    """What all OOD classes share: the ID scores in order, their 5 % quantile, and whether no two of them are equal."""

    ordered_id: NDArray[np.float64]
    threshold: np.float64
    distinct: bool

    @classmethod
    def of(cls, ordered_id: NDArray[np.float64]) -> _Judge:
        return cls(ordered_id, _threshold(ordered_id, 0.95), bool((ordered_id[1:] != ordered_id[:-1]).all()))

    def evaluate(self, ood: _Ranked) -> OodMetrics:
        """Every metric of OOD scores in order; the cost grows with them alone where the ID scores are distinct."""
        n_id, n_ood = len(self.ordered_id), len(ood.scores)
        lost = int(ood.below.sum() + ood.up_to.sum())
        caught = ood.up_to[_caught_95(n_ood)]
        return OodMetrics(
            n_id=n_id,
            n_ood=n_ood,
            fpr95=float((ood.scores >= self.threshold).mean()),
            auroc=(2 * n_id * n_ood - lost) / (2 * n_id * n_ood),
            aupr_in=self._aupr_in(ood),
            aupr_out=_aupr_out(ood),
            fpr95_ood_positive=float(caught / n_id),
        )

    def _aupr_in(self, ood: _Ranked) -> float:
        """Average, over the ID scores from the largest on, of the precision just before and at each: the trapezoids' area.

        Where they are distinct, the k-th of them has the precision k / (k + F), with F OOD scores above it, and F is the
        same between two OOD scores; the sum over such a run is its length less F times a difference of harmonic numbers.
        """
        if not self.distinct:
            return _precision_recall_area(*_counts_up_to(-self.ordered_id[::-1], -ood.scores[::-1]))
        n = len(self.ordered_id)
        at, before = n - ood.up_to[::-1], n - ood.below[::-1]
        return float((_precisions(at, n) + _precisions(before, n, first=0)) / (2 * n))


def _class_mean(classes: Sequence[OodMetrics]) -> OodMetrics:
    columns = {field.name: [getattr(one, field.name) for one in classes] for field in fields(OodMetrics)}
    means = {name: float(np.mean(values)) for name, values in columns.items() if name not in {"n_id", "n_ood"}}
    return OodMetrics(n_id=classes[0].n_id, n_ood=sum(columns["n_ood"]), **means)


def _class_names(ood_classes: Sequence[str] | NDArray[Any], samples: int) -> NDArray[np.str_]:
    names = list(ood_classes)
    if len(names) != samples:
        raise InputError(f"Every OOD score needs a class; got {len(names)} classes for {samples} scores.")
    if None in names:
        raise InputError(f"Every OOD score needs a class; sample {names.index(None)} has none.")
    return np.array(names, dtype=np.str_)


def _both_sorted(id_scores: ArrayLike, ood_scores: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.sort(score_vector("ID scores", id_scores)), np.sort(score_vector("OOD scores", ood_scores))


def _threshold(id_scores: NDArray[np.float64], tpr: float) -> np.float64:
    # 1 - 0.95 is 4e-17 above 0.05, enough to move a threshold that is itself an ID score past OOD scores equal to it.
    return np.float64(np.quantile(id_scores, round(1.0 - tpr, 12)))


def _auroc(ordered_id: NDArray[np.float64], ordered_ood: NDArray[np.float64]) -> float:
    pairs = len(ordered_id) * len(ordered_ood)
    lost = int(doubled_rank(ordered_ood, ordered_id).sum())
    return (2 * pairs - lost) / (2 * pairs)


def _fpr95_ood_positive(ordered_id: NDArray[np.float64], ordered_ood: NDArray[np.float64]) -> float:
    threshold = ordered_ood[_caught_95(len(ordered_ood))]
    return float(np.searchsorted(ordered_id, threshold, side="right") / len(ordered_id))


def _caught_95(n_ood: int) -> int:
    """The place of the smallest OOD score up to which at least 95 % of them lie."""
    return int(np.argmax(np.arange(1, n_ood + 1) / n_ood >= 0.95))


def _precisions(above: NDArray[np.int64], n: int, first: int = 1) -> np.float64:
    """Sum of k / (k + F_k) over n whole numbers k from `first` on; F_k is how many of the ascending `above` are below k + 1 - first.

    0 / 0, the precision before the first threshold, is 1.
    """
    harmonic = _harmonic((n + len(above)).bit_length())
    ends = np.concatenate([[0], above, [n]]) + first - 1
    false = np.arange(len(above) + 1)
    return np.float64((np.diff(ends) - false * (harmonic[ends[1:] + false] - harmonic[ends[:-1] + false])).sum())


@lru_cache(maxsize=4)
def _harmonic(bits: int) -> NDArray[np.float64]:
    """The harmonic numbers 0, 1, 1 + 1/2, … up to the 2^bits-th; added up in more than double precision, since differences count."""
    parts = 1 / np.arange(1, (1 << bits) + 1, dtype=np.longdouble)
    return np.concatenate([[0], np.cumsum(parts)]).astype(np.float64)


def _aupr_out(ood: _Ranked) -> float:
    """Average, over the OOD scores from the smallest on, of the precision just before and at each: the trapezoids' area.

    Recall rises at these scores alone.
    """
    last = np.append(np.flatnonzero(ood.scores[1:] != ood.scores[:-1]), len(ood.scores) - 1)
    caught = last + 1
    caught_before = np.concatenate([[0], caught[:-1]])
    all_before = caught_before + ood.below[last]
    before = np.divide(caught_before, all_before, out=np.ones(len(last)), where=all_before > 0)
    return float(
        ((caught - caught_before) * (before + caught / (caught + ood.up_to[last]))).sum() / (2 * len(ood.scores))
    )


def _counts_up_to(
    positives: NDArray[np.float64], negatives: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count positives and negatives up to and including each distinct value of the two ascending arrays, ascending."""
    both = np.concatenate([positives, negatives])
    # The stable sort recognises the two ascending runs and merges them in linear time.
    order = np.argsort(both, kind="stable")
    ordered = both[order]
    last_of_ties = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    positives_up_to = np.cumsum(order < len(positives))[last_of_ties]
    return positives_up_to, last_of_ties + 1 - positives_up_to


def _precision_recall_area(positives: NDArray[np.int64], negatives: NDArray[np.int64]) -> float:
    """Integrate precision over recall by trapezoids, from counts at ever looser thresholds, starting at (0, 1)."""
    recall = np.concatenate([[0.0], positives / positives[-1]])
    precision = np.concatenate([[1.0], positives / (positives + negatives)])
    return float(np.trapezoid(precision, recall))
