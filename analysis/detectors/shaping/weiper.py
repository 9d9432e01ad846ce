"""How entries of the feature, and logits of perturbed weights, are distributed beside those of the fit samples (WeiPer+KLD)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy

from analysis.algebra.draws import uniform
from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.rows.activations import normalise
from analysis.rows.checks import same_dimensions
from analysis.statistics.sampled_rows import TEN_THOUSAND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.rows.head import Head

_SEED = 0
_ROWS_AT_ONCE = 1024
# The authors' code adds it to the largest value, so that this falls into the last bin.
_BEYOND = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Shares of values in bins of equal width.

    Attributes:
        low: Where the first bin begins.
        width: Of each bin.
        shares: Float64, shape [bins]; their sum is 1.
    """

    low: float
    width: float
    shares: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class WeiPerFit:
    """Perturbed weights, and how what the fit samples give is distributed.

    Attributes:
        directions: Directions of the perturbations, unit vectors, float32, shape [repeats, C, D].
        entries: Of the entries of what the head is fed.
        logits: Of all logits of the perturbed weights.
    """

    directions: NDArray[np.float32]
    entries: Histogram
    logits: Histogram


def fit(inputs: FitInputs, *, repeats: int, delta: float, bins: int) -> WeiPerFit:
    """Perturb the head, and count the entries and logits of sampled fit rows.

    Raises:
        MissingError: The model has no head.
    """
    head = inputs.need_head()
    rows = inputs.need(TEN_THOUSAND)["feature"]
    rows = normalise(rows) if inputs.normalizes else rows
    directions = drawn(repeats, *head.weight.shape)
    ends = [(z.min(), z.max()) for z in _perturbed(rows, head, directions, delta)]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    edges, logits = _bins(low, high, bins), np.zeros(bins)
    for part in range(0, len(rows), _ROWS_AT_ONCE):
        for z in _perturbed(rows[part : part + _ROWS_AT_ONCE], head, directions, delta):
            logits += _counts(z, *edges, bins).sum(axis=0)
    about = _bins(float(rows.min()), float(rows.max()), bins)
    entries = _counts(rows, *about, bins).sum(axis=0)
    return WeiPerFit(directions, Histogram(*about, entries / entries.sum()), Histogram(*edges, logits / logits.sum()))


def score(
    fit: WeiPerFit,
    activations: Activations,
    *,
    delta: float,
    smooth: int,
    smooth_logits: int,
    floor: float,
    floor_logits: float,
    share: float,
    msp: float,
) -> NDArray[np.float64]:
    """Return -(KL of the entries + share KL of the perturbed logits - msp mean MSP of the perturbed heads), shape [n].

    Raises:
        InputError: The features have other dimensions than the fit, or than the head.
    """
    head, rows = activations.need_head(), activations.head_input64
    same_dimensions(rows, fit.directions.shape[2])
    bins, scores = len(fit.entries.shares), np.empty(len(rows))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE]
        counts, certain = np.zeros((len(part), bins)), np.zeros(len(part))
        for z in _perturbed(part, head, fit.directions, delta):
            counts += _counts(z, fit.logits.low, fit.logits.width, bins)
            np.subtract(z, z.max(axis=1, keepdims=True), out=z)
            certain += 1 / np.exp(z, out=z).sum(axis=1)
        entries = _counts(part, fit.entries.low, fit.entries.width, bins) / part.shape[1]
        counts /= len(fit.directions) * len(head.weight)
        apart = _divergence(fit.entries.shares, _smoothed(entries, smooth), floor)
        apart += share * _divergence(fit.logits.shares, _smoothed(counts, smooth_logits), floor_logits)
        scores[start : start + _ROWS_AT_ONCE] = msp * certain / len(fit.directions) - apart
    return scores


def drawn(repeats: int, classes: int, dim: int) -> NDArray[np.float32]:
    """Random unit vectors, float32, shape [repeats, classes, dim]; the same ones always."""
    directions = np.empty((repeats, classes, dim), np.float32)
    bits = np.random.PCG64(_SEED)
    for own in directions:
        own[:] = normalise(scipy.special.ndtri(uniform(bits, classes * dim)).reshape(classes, dim))
    return directions


def _perturbed(
    rows: NDArray[np.float64], head: Head, directions: NDArray[np.float32], delta: float
) -> Iterator[NDArray[np.float64]]:
    """The logits of each perturbed head, weights w + delta ||w|| d, each [n, C]; may be written to."""
    lengths = delta * np.linalg.norm(head.weight, axis=1, keepdims=True)
    for own in directions:
        logits = rows @ (head.weight + lengths * own).T
        logits += head.bias
        yield logits


def _bins(low: float, high: float, bins: int) -> tuple[float, float]:
    return low, (high + _BEYOND - low) / bins


def _counts(values: NDArray[np.float64], low: float, width: float, bins: int) -> NDArray[np.float64]:
    """How many values of each row fall into each bin, shape [n, bins]; those outside of all are left out."""
    which = np.floor((values - low) / width)
    inside = (which >= 0) & (which < bins)
    # One bin more takes those outside.
    number = np.where(inside, which, bins).astype(np.int64)
    number += np.arange(len(values))[:, None] * (bins + 1)
    counts = np.bincount(number.ravel(), minlength=len(values) * (bins + 1))
    return counts.reshape(len(values), bins + 1)[:, :bins].astype(np.float64)


def _smoothed(shares: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Running means over `width` bins, the end ones repeated; of an even width the longer half lies ahead."""
    before = (width - 1) // 2
    padded = np.pad(shares, ((0, 0), (before, width - 1 - before)), mode="edge")
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, width, axis=1).mean(axis=2))


def _divergence(fit: NDArray[np.float64], shares: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
    """KL(p, q) + KL(q, p) of the fit's p and each row's q, both with a floor under them, shape [n]."""
    p, q = fit + floor, shares + floor
    p, q = p / p.sum(), q / q.sum(axis=1, keepdims=True)
    return np.asarray(((p - q) * (np.log(p) - np.log(q))).sum(axis=1))


WEIPER = Detector(
    name="weiper",
    title="WeiPer+KLD",
    formula=(
        "-(D(e, e_fit) + l1 D(z, z_fit) - l2 mean_r max_c softmax(z_r)_c), z_r = (w_c + delta ||w_c|| d_rc) h + b_c, d_rc random "
        "of length 1, e and z the smoothed histograms of the entries of h and of all z_r, D(p, q) = KL(p, q) + KL(q, p)"
    ),
    source="Granz, Heurich & Landgraf 2024, arXiv 2405.17164",
    score=score,
    fit=fit,
    fitted_on="up to 10,000 seeded fit features",
    needs=(TEN_THOUSAND,),
    needs_head=True,
    hyperparameters=(
        Hyperparameter("repeats", 100, 1, 1000, "perturbed heads"),
        Hyperparameter("delta", 1.8, 0.0, 100.0, "length of the perturbations beside that of the weights"),
        Hyperparameter("bins", 100, 2, 10_000, "bins of the histograms"),
        Hyperparameter("smooth", 4, 1, 1000, "bins that the histogram of entries is averaged over"),
        Hyperparameter("smooth_logits", 15, 1, 1000, "bins that the histogram of perturbed logits is averaged over"),
        Hyperparameter("floor", 0.01, 1e-12, 1.0, "added to each share of entries"),
        Hyperparameter("floor_logits", 0.025, 1e-12, 1.0, "added to each share of perturbed logits"),
        Hyperparameter("share", 2.5, 0.0, 1000.0, "l1: what the divergence of the perturbed logits counts"),
        Hyperparameter("msp", 0.1, 0.0, 1000.0, "l2: what the mean softmax probability of the perturbed heads counts"),
    ),
    on_request=True,
)
