"""Seeded shares of a dataset's samples: the same ones whatever the order, the shards or the rows around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHARE = 10
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_STEP = np.uint64(0x9E3779B97F4A7C15)


def hashed(sample: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """A pseudo-random 64-bit number for each sample, the same whatever the order or the rows around it (splitmix64).

    Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
    """
    with np.errstate(over="ignore"):
        mixed = (sample.astype(np.uint64) + np.uint64(1)) * _STEP + np.uint64(seed) * _MIX[0]
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX[0]
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX[1]
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def in_tenth(sample: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which samples of an ID test set belong to the seeded tenth that validation statistics are of, shape [n]."""
    return np.asarray(hashed(sample, 0) % np.uint64(_SHARE) == 0)
