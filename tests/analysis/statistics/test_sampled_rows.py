from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp

from analysis.rows.lake_rows import hashed
from analysis.statistics.sampled_rows import TEN_PERCENT, sampled_rows
from tests.analysis.conftest import clustered
from tests.analysis.gathered import gathered
from tests.analysis.modelled import modelled


@pytest.mark.parametrize(("share", "count"), [(0.01, 30), (0.5, 1500), (0.9999, 2999), (0.0001, 1)])
def test_samples_are_the_same_rows_wherever_they_are_looked_for(share: float, count: int) -> None:
    """Exactly the share, rounded down but at least one; independent of blocks and shards; rows, energies, numbers agree."""
    model = modelled(clustered(0, 3000, 3, 2))
    statistic = sampled_rows("some", share, energy=True)
    once = gathered([statistic], model.rows, model.labels)["some"]
    again = gathered([statistic], model.rows, model.labels, shards=7, rows_per_block=31)["some"]
    assert_array_equal(once["sample"], np.sort(np.argsort(hashed(np.arange(3000), 1))[:count]))
    for name in once:
        assert_array_equal(once[name], again[name])
    assert_array_equal(once["feature"], model.rows.feature[once["sample"]])
    assert_allclose(once["energy"], logsumexp(model.rows.logits[once["sample"]], axis=1), rtol=1e-14)
    assert "energy" not in gathered([TEN_PERCENT], model.rows, model.labels)[TEN_PERCENT.name]
