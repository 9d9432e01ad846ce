"""What the detectors of a lake's scores are: the rows of the table `detectors`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from analysis.lineage.ingredients import detector_target
from featurestore.partitions import writing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analysis.detectors import Detector
    from featurestore.lake import Lake


def describe(lake: Lake, detectors: Iterable[Detector[Any]]) -> None:
    """Store what detectors are, where the lake does not say so yet."""
    held = {manifest.key["detector"]: manifest.parts[0].fingerprint for manifest in lake.partitions("detectors")}
    for detector in detectors:
        target = detector_target(detector)
        if held.get(detector.name) != target.fingerprint:
            rows = pa.Table.from_pylist([_row(detector)], target.table.columns)
            writing.write_part(lake.storage, target, rows, replacing=True)


def _row(detector: Detector[Any]) -> dict[str, str]:
    values = detector.values
    said = {one.name: one.rule if values[one.name] is None else values[one.name] for one in detector.hyperparameters}
    return {
        "title": detector.title,
        "formula": detector.formula,
        "source": detector.source,
        "hyperparameters": json.dumps(said),
        "convention": detector.convention,
    }
