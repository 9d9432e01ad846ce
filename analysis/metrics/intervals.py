"""95 % intervals of FPR95 and AUROC: what other images, of the same ID and OOD distributions, might have given.

Both ID and OOD samples are taken as drawn independently. The model, what the detector learned from, and the classes are not:
the interval of a mean over classes is that of these very classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from analysis.metrics.groups import Groups, IdReference

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Ends = tuple[Floats, Floats]

Z = 1.959963984540054
_PRIOR = 0.2
"""So many pairs of samples count as if they had varied like independent trials; see `trials`."""


def of_groups(reference: IdReference, ood: Groups, found: Mapping[str, NDArray[Any]]) -> dict[str, Floats]:
    """The intervals of each group.

    Args:
        reference: The ID scores.
        ood: Groups of OOD samples.
        found: Their metrics, shape [groups] each.

    Returns:
        Columns fpr95_low, fpr95_high, auroc_low, auroc_high, shape [groups] each.
    """
    n_id, sizes = len(reference.ordered_id), ood.sizes
    least, most = _shifted(reference, ood)
    fpr95 = _with_threshold(found["fpr95"], wilson(found["fpr95"], sizes), least, most)
    share = found["auroc"]
    variance = _of_ood(n_id, ood, share * (1 - share)) / sizes + _of_id(n_id, ood, share) / n_id
    auroc = wilson(share, trials(share, variance, np.minimum(sizes, n_id), _PRIOR))
    return _columns(fpr95, auroc)


def of_class_mean(
    reference: IdReference, classes: Groups, found: Mapping[str, NDArray[Any]], pooled: Groups, members: Integers
) -> dict[str, float]:
    """The intervals of the unweighted means over classes.

    OOD samples of the classes are independent; the threshold, and the ID samples that all are compared with, are shared.

    Args:
        reference: The ID scores.
        classes: The classes that have samples.
        found: Their metrics, shape [classes] each.
        pooled: All their samples as one group.
        members: The place of each of these in the classes, shape [n_ood].

    Returns:
        The columns of `of_groups`, a number each.
    """
    n_id, sizes, count = len(reference.ordered_id), classes.sizes, len(classes.sizes)
    if count == 1:
        return {name: float(end[0]) for name, end in of_groups(reference, classes, found).items()}
    least_trials = np.float64(count**2 / np.sum(1 / sizes))
    rates, mean = found["fpr95"], np.asarray(np.mean(found["fpr95"]))
    spread = np.where(sizes > 1, rates * (1 - rates) * sizes / np.maximum(sizes - 1, 1), mean * (1 - mean))
    drawn = trials(mean, np.sum(spread / sizes) / count**2, least_trials, count)
    least, most = _shifted(reference, classes)
    fpr95 = _with_threshold(mean, wilson(mean, drawn), np.asarray(np.mean(least)), np.asarray(np.mean(most)))
    share = np.mean(found["auroc"])
    weights = 1 / (2 * count * sizes[members])
    of_ood = np.sum(_of_ood(n_id, classes, share * (1 - share)) / sizes) / count**2
    of_id = _of_id_weighted(n_id, pooled, weights, share)
    auroc = wilson(share, trials(share, of_ood + of_id / n_id, np.minimum(least_trials, n_id), _PRIOR))
    return {name: float(end) for name, end in _columns(fpr95, auroc).items()}


def wilson(share: ArrayLike, count: ArrayLike) -> Ends:
    """The interval of a share of so many independent trials, which need not be a whole number.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22.

    Args:
        share: From 0 to 1, any shape.
        count: Trials, above 0, of the same shape.

    Returns:
        Both ends, from 0 to 1.

    Example:
        >>> low, high = wilson(0.0, 100)
        >>> round(float(low), 4), round(float(high), 4)
        (0.0, 0.037)
    """
    p, n = np.asarray(share, np.float64), np.asarray(count, np.float64)
    total = n + Z**2
    middle = (n * p + Z**2 / 2) / total
    reach = Z * np.sqrt(n * p * (1 - p) + Z**2 / 4) / total
    # Rounding must not put 0 of n above 0, nor the share outside.
    return np.clip(middle - reach, 0, p), np.clip(middle + reach, p, 1)


def trials(share: ArrayLike, variance: ArrayLike, least: ArrayLike, prior: ArrayLike) -> Floats:
    """The number of independent trials that would give a share this variance, for an interval of a share.

    Source: Kottas, Kuss & Zapf 2014, "A modified Wald interval for the area under the ROC curve", BMC Medical Research
    Methodology 14. There is no variance in samples that are told apart perfectly, and near that it is estimated from the few
    that are not, mostly too low. So it is averaged with that of `least` trials, with a weight that vanishes elsewhere.

    Args:
        share: From 0 to 1, any shape.
        variance: Its estimated variance.
        least: The trials if nothing but one of the samples were at work: what counts where nothing varies.
        prior: The weight, as a number of samples of `least` that varied.

    Returns:
        Trials, above 0.
    """
    p, least = np.asarray(share, np.float64), np.asarray(least, np.float64)
    weight = np.asarray(prior, np.float64) / least
    return np.asarray((p * (1 - p) + weight) / (variance + weight / least))


def _with_threshold(share: Floats, own: Ends, least: Floats, most: Floats) -> Ends:
    """Ends of an FPR's interval for the error of both samples: the distances to both pairs of ends, squared and added.

    Source: Zou & Donner 2008, "Construction of confidence limits about effect measures", Statistics in Medicine 27 (MOVER).

    Args:
        share: The FPR.
        own: Its interval if the threshold were known.
        least: The FPR at the upper end of the threshold's interval.
        most: At the lower end.
    """
    below, above = np.hypot(share - own[0], share - least), np.hypot(own[1] - share, most - share)
    return np.maximum(share - below, 0), np.minimum(share + above, 1)


def _shifted(reference: IdReference, ood: Groups) -> Ends:
    """The FPR of each group at both ends of the threshold's interval, the upper one first."""
    low, high = (ood.sums((ood.scores >= end).astype(np.int64)) / ood.sizes for end in reference.threshold_ends)
    return high, low


def _of_ood(n_id: int, ood: Groups, of_one: Floats) -> Floats:
    """Variance, over the OOD samples of a group, of the share of ID that outscores each; of a single one, what it is at most.

    Source: DeLong, DeLong & Clarke-Pearson 1988, "Comparing the areas under two or more correlated ROC curves", Biometrics 44.
    """
    doubled = ood.below + ood.up_to
    squares, means = ood.sums(doubled * doubled) / ood.sizes, ood.sums(doubled) / ood.sizes
    variance = np.maximum(squares - means**2, 0) / (4 * n_id**2) * ood.sizes / np.maximum(ood.sizes - 1, 1)
    return np.where(ood.sizes > 1, variance, of_one)


def _of_id(n_id: int, ood: Groups, share: Floats) -> Floats:
    """Variance, over ID samples, of the share of a group's samples that outscore each; from the OOD samples' places alone.

    The i-th smallest ID score is outscored by an OOD sample if i < `below`, and not reached by it if i < `up_to`: so the doubled
    number is that of both together that are above i, and its square, summed over i, a weighted sum over both.
    """
    if n_id == 1:
        return share * (1 - share)
    places = np.sort(np.concatenate([_keyed(n_id, ood, ood.below), _keyed(n_id, ood, ood.up_to)]), kind="stable")
    values = places - np.repeat(np.arange(len(ood.sizes)) * (n_id + 1), 2 * ood.sizes)
    ends = np.repeat(2 * (ood.starts + ood.sizes), 2 * ood.sizes)
    squares = np.add.reduceat((2 * (ends - np.arange(len(values))) - 1) * values, 2 * ood.starts)
    return np.maximum(squares / (4 * ood.sizes**2) - n_id * (1 - share) ** 2, 0) / (n_id - 1)


def _keyed(n_id: int, ood: Groups, places: Integers) -> Integers:
    """Places that ascend over all groups."""
    return places + np.repeat(np.arange(len(ood.sizes)) * (n_id + 1), ood.sizes)


def _of_id_weighted(n_id: int, pooled: Groups, weights: Floats, share: Any) -> Any:
    """The same of samples with weights, whose sum is a half: those of a mean over classes."""
    if n_id == 1:
        return share * (1 - share)
    places = np.concatenate([pooled.below, pooled.up_to])
    order = np.argsort(places, kind="stable")
    above = np.cumsum(np.concatenate([weights, weights])[order][::-1])[::-1]
    squares = np.sum(np.diff(places[order], prepend=0) * above**2)
    return np.maximum(squares - n_id * (1 - share) ** 2, 0) / (n_id - 1)


def _columns(fpr95: Ends, auroc: Ends) -> dict[str, Floats]:
    names = ("fpr95_low", "fpr95_high", "auroc_low", "auroc_high")
    return dict(zip(names, (*fpr95, *auroc), strict=True))
