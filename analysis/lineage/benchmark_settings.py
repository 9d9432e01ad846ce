"""What users set of benchmarks: how they are judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from featurestore.layout.tables import TABLES
from featurestore.partitions import reading, writing

if TYPE_CHECKING:
    from featurestore.lake import Lake

_TABLE = TABLES["benchmarks"]


@dataclass(frozen=True, slots=True)
class BenchmarkSettings:
    """How a benchmark is judged.

    Attributes:
        without_overlaps: Whether test samples whose bytes are also in a dataset of another role are left out.
    """

    without_overlaps: bool = False


def read_settings(lake: Lake) -> dict[str, BenchmarkSettings]:
    """The settings of the benchmarks that anything was set of."""
    found = {}
    for manifest in lake.partitions("benchmarks"):
        (row,) = reading.read(lake.storage, manifest, manifest.parts[0]).to_pylist()
        found[manifest.key["benchmark"]] = BenchmarkSettings(bool(row["without_overlaps"]))
    return found


def write_settings(lake: Lake, benchmark: str, settings: BenchmarkSettings) -> bool:
    """Store how a benchmark is judged; return whether it was judged otherwise before."""
    if read_settings(lake).get(benchmark, BenchmarkSettings()) == settings:
        return False
    row = {"without_overlaps": settings.without_overlaps}
    target = writing.Target(_TABLE, {"benchmark": benchmark}, row, {})
    return writing.write_part(lake.storage, target, pa.Table.from_pylist([row], _TABLE.columns), replacing=True)
