"""What all OOD samples are judged by, the ID scores in order, and every metric of many groups of OOD samples at once.

A group is an OOD class, or a whole dataset. Groups lie one after the other in flat arrays, so that numpy's cost per call is
paid once and not per group: an OOD set has a hundred classes of some dozen samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from analysis.metrics.threshold import ordered_interval, threshold_at
from analysis.rows.checks import score_vector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_CELLS = 1 << 14
"""So many groups times ties are looked at together: few enough for a processor's cache."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of OOD samples, each ascending by score, one after the other.

    Attributes:
        scores: Their scores, shape [n_ood].
        below: For each how many ID scores are below it, shape [n_ood].
        up_to: For each how many are below or equal, shape [n_ood].
        starts: Where each group begins, shape [groups].
        sizes: How many samples each has, at least one, shape [groups].
    """

    scores: Floats
    below: Integers
    up_to: Integers
    starts: Integers
    sizes: Integers

    def reordered(self, places: Integers, sizes: Integers) -> Groups:
        """The same samples in another order, and other groups."""
        starts = np.cumsum(sizes) - sizes
        return Groups(self.scores[places], self.below[places], self.up_to[places], starts, sizes)

    def sums(self, values: Integers) -> Integers:
        """Sum one number per sample over each group."""
        total: Integers = np.add.reduceat(values, self.starts)
        return total


@dataclass(frozen=True, slots=True)
class IdReference:
    """What all OOD samples are judged by: the ID scores, in order.

    Attributes:
        ordered_id: The ID scores in ascending order, shape [n_id].
        threshold: Their 5 % quantile.
        threshold_ends: Between which it may lie, of all images, as `threshold_interval` has it.
        tie_ends: For each value that several of them share, ascending, how many are below or equal to it, shape [ties].
        tie_sizes: How many share it, shape [ties].
    """

    ordered_id: Floats
    threshold: np.float64
    threshold_ends: tuple[float, float]
    tie_ends: Integers
    tie_sizes: Integers

    @classmethod
    def of(cls, id_scores: ArrayLike) -> IdReference:
        """Put ID scores in order.

        Raises:
            InputError: There is none.
            NumericalError: One is NaN or infinite.
        """
        ordered = np.sort(score_vector("ID scores", id_scores))
        ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1, len(ordered))
        sizes = np.diff(ends, prepend=0)
        shared = sizes > 1
        return cls(
            ordered,
            np.float64(threshold_at(ordered, 0.95)),
            ordered_interval(ordered, 0.95),
            ends[shared],
            sizes[shared],
        )

    def rank(self, ood_scores: ArrayLike) -> tuple[Groups, Integers]:
        """All OOD scores as one group, and where each came from."""
        scores = score_vector("OOD scores", ood_scores)
        order = np.argsort(scores)
        ordered = scores[order]
        below, up_to = (np.searchsorted(self.ordered_id, ordered, side=side) for side in ("left", "right"))
        return Groups(ordered, below, up_to, np.zeros(1, np.int64), np.array([len(ordered)])), order

    def metrics(self, ood: Groups) -> dict[str, Floats | Integers]:
        """Every metric of each group, by its name; the cost grows with the OOD samples, and with the groups times the ties."""
        n_id, pairs = len(self.ordered_id), 2 * len(self.ordered_id) * ood.sizes
        caught = ood.up_to[ood.starts + [_caught_95(int(size)) for size in ood.sizes]]
        constant = self._constant(ood)
        return {
            "n_id": np.full(len(ood.sizes), n_id),
            "n_ood": ood.sizes,
            "fpr95": ood.sums((ood.scores >= self.threshold).astype(np.int64)) / ood.sizes,
            "auroc": (pairs - ood.sums(ood.below + ood.up_to)) / pairs,
            "aupr_in": np.where(constant, n_id / (n_id + ood.sizes), self._aupr_in(ood)),
            "aupr_out": np.where(constant, ood.sizes / (n_id + ood.sizes), _aupr_out(ood)),
            "fpr95_ood_positive": caught / n_id,
        }

    def _constant(self, ood: Groups) -> NDArray[np.bool_]:
        """Where all scores, ID and OOD, are one number, shape [groups].

        Precision and recall then have one point and no curve, whose area would be that of a line to the point at recall 0 and
        precision 1, which no threshold reaches; the average precision is the share of positives.
        """
        ends = ood.starts + ood.sizes - 1
        least = np.minimum(ood.scores[ood.starts], self.ordered_id[0])
        constant: NDArray[np.bool_] = least == np.maximum(ood.scores[ends], self.ordered_id[-1])
        return constant

    def _aupr_in(self, ood: Groups) -> Floats:
        """Average, over the ID scores from the largest on, of the precision just before and at each: the trapezoids' area.

        Where they are distinct, the k-th of them has the precision k / (k + F), with F OOD scores above it, and F is the
        same between two OOD scores; the sum over such a run is its length less F times a difference of harmonic numbers.
        """
        n = len(self.ordered_id)
        # Each group from its largest score on.
        backwards = np.repeat(2 * ood.starts + ood.sizes - 1, ood.sizes) - np.arange(len(ood.scores))
        at, before = n - ood.up_to[backwards], n - ood.below[backwards]
        return (_precisions(ood, at, n) + _precisions(ood, before, n, first=0) + self._ties(ood)) / (2 * n)

    def _ties(self, ood: Groups) -> Floats:
        """What the sums of precisions gain where several ID scores are one threshold: it has one precision, and not one for each.

        The ID scores a + 1 to b from the largest on are equal; F OOD scores are above or equal to them, and G above. Each counts
        b / (b + F) and a / (a + G), and was taken to count k / (k + F) and (k - 1) / (k - 1 + G).
        """
        n, ties = len(self.ordered_id), len(self.tie_ends)
        sums = np.zeros(len(ood.sizes))
        harmonic = _harmonic((n + int(ood.sizes.max())).bit_length())
        a, m = n - self.tie_ends, self.tie_sizes
        b = a + m
        at, above = (np.searchsorted(self.tie_ends, counts, side="right") for counts in (ood.up_to, ood.below))
        group = np.repeat(np.arange(len(ood.sizes)), ood.sizes)
        step = max(1, _CELLS // (ties + 1))
        for first in range(0, len(ood.sizes) if ties else 0, step):
            of = slice(ood.starts[first], (ood.starts + ood.sizes)[first : first + step][-1])
            f, g = (_reaching(group[of] - first, places[of], ties) for places in (at, above))
            once = m * (b / (b + f) + np.divide(a, a + g, out=np.ones(g.shape), where=a + g > 0))
            each = 2 * m - f * (harmonic[b + f] - harmonic[a + f]) - g * (harmonic[b + g - 1] - harmonic[a + g - 1])
            sums[first : first + step] = (once - each).sum(axis=1)
        return sums


def _reaching(group: Integers, places: Integers, ties: int) -> Integers:
    """For each group and tie how many samples have a place beyond it, shape [groups, ties]; groups are numbered from 0 on."""
    groups = int(group[-1]) + 1
    counts = np.bincount(group * (ties + 1) + places, minlength=groups * (ties + 1)).reshape(groups, ties + 1)
    reaching: Integers = counts[:, ::-1].cumsum(axis=1)[:, -2::-1]
    return reaching


@lru_cache(maxsize=1024)
def _caught_95(n_ood: int) -> int:
    """The place of the smallest OOD score up to which at least 95 % of them lie."""
    return int(np.argmax(np.arange(1, n_ood + 1) / n_ood >= 0.95))


def _precisions(ood: Groups, above: Integers, n: int, first: int = 1) -> Floats:
    """Sum of k / (k + F_k) over n whole numbers k from `first` on, for each group.

    F_k is how many of the group's ascending `above` are below k + 1 - first. 0 / 0, the precision before the first threshold, is 1.
    """
    harmonic = _harmonic((n + int(ood.sizes.max())).bit_length())
    # A group of m samples cuts the numbers into m + 1 runs, which begin at 0 and after each sample, and end at n.
    runs = ood.sizes + 1
    starts = np.cumsum(runs) - runs
    false = np.arange(len(above) + len(runs)) - np.repeat(starts, runs)
    begins, ends = np.empty(len(false), np.int64), np.empty(len(false), np.int64)
    begins[false > 0], begins[starts] = above, 0
    ends[:-1], ends[starts + ood.sizes] = begins[1:], n
    begins += first - 1
    ends += first - 1
    terms = (ends - begins) - false * (harmonic[ends + false] - harmonic[begins + false])
    sums: Floats = np.add.reduceat(terms, starts)
    return sums


@lru_cache(maxsize=4)
def _harmonic(bits: int) -> Floats:
    """The harmonic numbers 0, 1, 1 + 1/2, … up to the 2^bits-th; added up in more than double precision, since differences count."""
    parts = 1 / np.arange(1, (1 << bits) + 1, dtype=np.longdouble)
    return np.concatenate([[0], np.cumsum(parts)]).astype(np.float64)


def _aupr_out(ood: Groups) -> Floats:
    """Average, over the OOD scores from the smallest on, of the precision just before and at each: the trapezoids' area.

    Recall rises at these scores alone.
    """
    ends = np.zeros(len(ood.scores), bool)
    ends[:-1] = ood.scores[1:] != ood.scores[:-1]
    ends[ood.starts + ood.sizes - 1] = True
    last = np.flatnonzero(ends)
    caught = last + 1 - np.repeat(ood.starts, ood.sizes)[last]
    first = np.searchsorted(last, ood.starts)
    caught_before = np.concatenate([[0], caught[:-1]])
    caught_before[first] = 0
    all_before = caught_before + ood.below[last]
    before = np.divide(caught_before, all_before, out=np.ones(len(last)), where=all_before > 0)
    areas: Floats = np.add.reduceat((caught - caught_before) * (before + caught / (caught + ood.up_to[last])), first)
    return areas / (2 * ood.sizes)
