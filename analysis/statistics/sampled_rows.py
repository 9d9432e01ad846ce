"""A seeded share of the fit rows: those whose sample numbers hash lowest, whatever the order or the shards."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.rows.lake_rows import hashed
from analysis.statistics.statistic import Statistic, SweepContext

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Block

_SEED = 1
_ONE, _TEN = 0.01, 0.1


class _Sampled:
    """The rows of the k lowest hashes so far, as stored, and up to as many more that may not be among them."""

    __slots__ = ("_bound", "_energy", "_kept", "_limit", "_pending")

    def __init__(self, context: SweepContext, share: float, *, energy: bool, most: int | None) -> None:
        self._limit = min(max(1, int(share * context.rows)), most or context.rows)
        # A hash beyond this bound is never among the lowest k of all rows: it is more than 8 standard deviations
        # above the k-th one that is expected. So each lane keeps about its own share, not k rows.
        expected = (self._limit + 8 * np.sqrt(self._limit) + 64) / max(context.rows, 1)
        self._bound = np.uint64(expected * 2.0**64 if expected < 1 else 2**64 - 1)
        self._energy = energy
        empty = [np.empty(0, np.uint64), np.empty(0, np.int64), np.empty((0, context.dim), context.dtype), np.empty(0)]
        self._kept: list[NDArray[Any]] = empty
        self._pending: list[list[NDArray[Any]]] = []

    def update(self, block: Block) -> None:
        hashes = hashed(block.sample, _SEED)
        rows = np.flatnonzero(hashes <= self._bound)
        if not len(rows):
            return
        activations = block.activations
        energy = activations.log_sum_exp[rows] if self._energy else np.zeros(len(rows))
        self._add([hashes[rows], block.sample[rows], activations.feature[rows], energy])

    def merge(self, other: _Sampled) -> None:
        other._settle()
        self._add(other._kept)

    def finish(self) -> dict[str, NDArray[Any]]:
        self._settle()
        _, sample, feature, energy = self._kept
        order = np.argsort(sample)
        arrays = {"sample": sample[order], "feature": feature[order].astype(np.float64)}
        return arrays | ({"energy": energy[order]} if self._energy else {})

    def _add(self, rows: list[NDArray[Any]]) -> None:
        self._pending.append(rows)
        if sum(len(part[0]) for part in self._pending) > max(self._limit, 1024):
            self._settle()

    def _settle(self) -> None:
        parts = [self._kept, *self._pending]
        self._pending = []
        self._kept = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
        if len(self._kept[0]) > self._limit:
            lowest = np.argpartition(self._kept[0], self._limit)[: self._limit]
            self._bound = self._kept[0][lowest].max()
            self._kept = [array[lowest] for array in self._kept]


def sampled_rows(name: str, share: float, *, energy: bool, most: int | None = None) -> Statistic:
    """A share of the rows, rounded down to at least one: `sample` [k], `feature` [k, D], and `energy` [k] if wanted.

    Args:
        name: Name of the statistic; it says the share.
        share: Share of the rows.
        energy: Whether to keep log sum_c exp(z_c) too.
        most: How many rows at most; None for any number.
    """
    start = partial(_Sampled, share=share, energy=energy, most=most)
    return Statistic(name, start, reads=("feature", "logits") if energy else ("feature",))


def share_with_energy(share: float) -> Statistic:
    """A share of the fit rows with their energy."""
    return ONE_PERCENT if share == _ONE else sampled_rows(f"sample-{share}-energy", share, energy=True)


def share_of_features(share: float) -> Statistic:
    """A share of the fit rows, for which a model needs no logits."""
    return TEN_PERCENT if share == _TEN else sampled_rows(f"sample-{share}", share, energy=False)


ONE_PERCENT = sampled_rows("sample-one-percent", _ONE, energy=True)
"""1 % of the fit rows, with their energy."""

TEN_PERCENT = sampled_rows("sample-ten-percent", _TEN, energy=False)
"""10 % of the fit rows."""

TEN_THOUSAND = sampled_rows("sample-10000", 1.0, energy=False, most=10_000)
"""All fit rows, or 10,000 of them."""
