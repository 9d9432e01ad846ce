"""What a head is fed."""

from __future__ import annotations

import numpy as np
import pytest

from featurestore.layout import head_input


@pytest.mark.parametrize("normalizes", [False, True])
def test_ingredients_tell_what_a_head_is_fed(*, normalizes: bool) -> None:
    """Nothing is said where it is the feature as it is."""
    said = head_input.ingredients(normalizes=normalizes)
    assert (bool(said), head_input.normalizes({"dtype": "float16", **said})) == (normalizes, normalizes)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_features_of_any_length_are_brought_to_unit_length(dtype: str) -> None:
    """In their own precision; those of no length stay, since they have no direction."""
    features = np.array([[3, 4], [0, 0], [3e-3, -4e-3]], dtype)
    fed = head_input.fed(features, normalize=True)
    np.testing.assert_allclose(fed, [[0.6, 0.8], [0, 0], [0.6, -0.8]], rtol=1e-6)
    assert fed.dtype == dtype
    assert head_input.fed(features, normalize=False) is features
