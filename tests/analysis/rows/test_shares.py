from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal

from analysis.rows.lake_rows import hashed, in_tenth


def test_a_tenth_of_the_samples_is_a_tenth_wherever_it_is_looked_at() -> None:
    """About a tenth of any stretch, the same samples whatever else is in the block."""
    samples = np.arange(50_000)
    kept = in_tenth(samples)
    assert 4_700 < kept.sum() < 5_300
    assert_array_equal(kept[1234:1240], in_tenth(samples[1234:1240]))
    assert len(np.unique(hashed(samples, 3))) == len(samples)
    assert (hashed(samples, 3) != hashed(samples, 4)).all()
