"""Published numbers, shipped as the table `published`: what a user's own can be compared with, and a newcomer can ask."""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

SOURCE = "arXiv 2505.18032"
_OF_MODEL = ("published_name", "top1", "timm", "pretraining", "remark")


@cache
def rows() -> tuple[dict[str, str], ...]:
    """The paper's table as it is shipped: a row per model, numbers in percent, with timm's name where there is one."""
    text = resources.files("featurestore.query").joinpath("data", "maha_pp_2025.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def table() -> pa.Table:
    """A row per model and detector; `fpr95` and `accuracy` are shares in [0, 1]."""
    import pyarrow as pa  # slow to import, and most questions are answered without it

    texts = dict.fromkeys(("model", "timm_name", "architecture", "pretraining", "detector", "dataset"), pa.string())
    schema = pa.schema({**texts, "fpr95": pa.float64(), "accuracy": pa.float64(), "source": pa.string()})
    found = [_long(row, detector) for row in rows() for detector in row if detector not in _OF_MODEL]
    return pa.Table.from_pylist(found, schema=schema)


def _long(row: dict[str, str], detector: str) -> dict[str, str | float | None]:
    timm_name = row["timm"] or None
    return {
        "model": row["published_name"],
        "timm_name": timm_name,
        "architecture": timm_name and timm_name.partition(".")[0],
        "pretraining": row["pretraining"] or None,
        "detector": detector,
        "dataset": "ninco",
        "fpr95": _share(row[detector]),
        "accuracy": _share(row["top1"]),
        "source": SOURCE,
    }


def _share(percent: str) -> float:
    """A printed percentage as a share with the same digits."""
    return float(f"{percent}e-2")
