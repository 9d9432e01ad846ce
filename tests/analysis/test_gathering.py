from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal

from analysis.gathering.rows import hashed, in_tenth
from analysis.gathering.sweep import LANES, lanes_of


def test_lanes_do_not_depend_on_who_works_on_them() -> None:
    """All pieces, in order, in at most LANES stretches whose lengths differ by one."""
    for count in (0, 1, 5, LANES, LANES + 1, 625):
        pieces = [lambda: None] * count
        lanes = lanes_of(pieces)  # type: ignore[arg-type]
        assert sum(map(len, lanes)) == count
        assert len(lanes) == min(LANES, count)
        assert count == 0 or max(map(len, lanes)) - min(map(len, lanes)) <= 1


def test_a_tenth_of_the_samples_is_a_tenth_wherever_it_is_looked_at() -> None:
    """About a tenth of any stretch, the same samples whatever else is in the block."""
    samples = np.arange(50_000)
    kept = in_tenth(samples)
    assert 4_700 < kept.sum() < 5_300
    assert_array_equal(kept[1234:1240], in_tenth(samples[1234:1240]))
    assert len(np.unique(hashed(samples, 3))) == len(samples)
    assert (hashed(samples, 3) != hashed(samples, 4)).all()
