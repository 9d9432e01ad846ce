"""Random numbers that are the same ones always, on every machine and with every version of numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def uniform(bits: np.random.PCG64, count: int) -> NDArray[np.float64]:
    """The next numbers in (0, 1), shape [count], made from a generator's raw bits, which are the same in every version of numpy."""
    return np.asarray(((bits.random_raw(count) >> np.uint64(12)) + 0.5) * 2.0**-52)
