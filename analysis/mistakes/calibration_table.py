"""The calibration of a model on a labelled dataset, stored."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import pyarrow as pa

from analysis.lineage.ingredients import calibration_target
from analysis.mistakes.confidence import calibrated
from featurestore.layout import basis
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing

if TYPE_CHECKING:
    from collections.abc import Callable

    from analysis.mistakes.predicted import Predicted
    from featurestore.lake import Lake
    from featurestore.layout.manifest import Part


def write_calibration(
    lake: Lake, model: str, dataset: str, activations: Part, predicted: Callable[[], Predicted]
) -> bool:
    """Store how calibrated a model is, unless the lake holds it of the same activations; return whether it was computed.

    Args:
        lake: The lake.
        model: The model.
        dataset: An ID dataset.
        activations: The model's activations on it.
        predicted: Reads what the model says of it; where nothing is known, the row says why.
    """
    target = calibration_target(model, dataset, activations.fingerprint)
    if writing.find(lake.storage, target, replacing=True):
        return False
    found = predicted()
    n = len(found.sample)
    row = {"n": 0, **(asdict(calibrated(found)) if n else {}), "unlabelled": activations.rows - n}
    rows = pa.Table.from_pylist([{**row, "lacking": found.lacking or None}], TABLES["calibration"].columns)
    details = {basis.NAME: basis.basis_of(model, {dataset: activations})}
    writing.write_part(lake.storage, target, rows, replacing=True, details=details)
    return True
