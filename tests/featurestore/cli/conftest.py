"""A lake with little to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.lakes import put_rows

if TYPE_CHECKING:
    from featurestore import Lake


@pytest.fixture
def one_metric(lake: Lake) -> Lake:
    put_rows(lake, "accuracy", {"model": "vit", "dataset": "val"}, {"n": 100, "top1": 0.75, "top5": 1.0})
    alike = {"detector": "msp", "id_dataset": "val", "ood_dataset": "unit-tests", "aggregation": "class"}
    classes = {"black": {"fpr95": 0.25, "auroc": 0.5}, "white": {"fpr95": 0.0, "auroc": 1.0}}
    rows = [alike | {"ood_class": name, "n_id": 100, "n_ood": 10} | of for name, of in classes.items()]
    put_rows(lake, "metrics", {"benchmark": "main", "model": "vit"}, *rows)
    return lake
