"""A lake with little to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from featurestore import Lake


@pytest.fixture
def one_metric(lake: Lake, put: Callable[..., Any]) -> Lake:
    put(lake, "accuracy", {"model": "vit", "dataset": "val"}, {"n": [100], "top1": [0.75], "top5": [1.0]})
    columns = {
        "detector": ["msp"] * 2,
        "id_dataset": ["val"] * 2,
        "ood_dataset": ["unit-tests"] * 2,
        "ood_class": ["black", "white"],
        "aggregation": ["class"] * 2,
        "n_id": [100] * 2,
        "n_ood": [10] * 2,
        "fpr95": [0.25, 0.0],
        "auroc": [0.5, 1.0],
    }
    put(lake, "metrics", {"benchmark": "main", "model": "vit"}, columns)
    return lake
