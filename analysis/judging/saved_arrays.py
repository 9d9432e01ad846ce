"""A fitted detector as bytes and back: an `.npz` archive of plain arrays and one JSON text; nothing in it is run."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.detectors.in_memory import refitted
from analysis.detectors.registry import get
from analysis.rows.activations import Activations
from analysis.rows.array_rows import ArrayRows, collected
from analysis.rows.head import Head
from analysis.rows.lake_rows import Rows
from analysis.statistics.statistic import SweepContext
from featurestore.errors import ConflictError, InputError, first_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from analysis.detectors import Detector, FittedDetector

_FORMAT = 1
_TEXT = "json"
_UNREADABLE = (OSError, ValueError, TypeError, KeyError, EOFError, AttributeError, zipfile.BadZipFile)


@dataclass(frozen=True, slots=True)
class SavedDetector:
    """What a file holds: the detector, fitted, and the arrays and values that were saved beside it."""

    fitted: FittedDetector
    arrays: Mapping[str, NDArray[Any]]
    told: Mapping[str, Any]


def in_memory(fitted: FittedDetector) -> FittedDetector:
    """The same detector, with fit rows that it compares with in memory, where a lake holds them."""
    if not isinstance(fitted.bank, Rows):
        return fitted
    columns = ["feature", *(["logits"] if fitted.detector.needs_logits else [])]
    bank = collected(fitted.bank, columns, fitted.context.head)
    return refitted(fitted.detector, fitted.statistics, fitted.context, bank)


def to_bytes(fitted: FittedDetector, arrays: Mapping[str, NDArray[Any]], told: Mapping[str, Any]) -> bytes:
    """A fitted detector, and what is to be saved beside it.

    Args:
        fitted: The detector.
        arrays: Numbers, by names without a slash.
        told: What JSON can hold.
    """
    fitted = in_memory(fitted)
    detector, context = fitted.detector, fitted.context
    held = dict(arrays)
    for name, statistic in fitted.statistics.items():
        held |= {f"statistics/{name}/{array}": values for array, values in statistic.items()}
    if context.head is not None:
        held |= {"head/weight": context.head.weight, "head/bias": context.head.bias}
        # Few detectors read them, and they may be larger than all else.
        if detector.needs_negatives and context.head.negatives is not None:
            held["head/negatives"] = context.head.negatives
    if isinstance(fitted.bank, ArrayRows):
        rows = fitted.bank
        held |= {"bank/feature": rows.activations.feature, "bank/sample": rows.sample, "bank/label": rows.label}
        held |= {} if rows.activations.logits is None else {"bank/logits": rows.activations.logits}
    text = {
        "format": _FORMAT,
        "detector": detector.name,
        "versions": _versions(detector, context.head),
        "classes": context.classes,
        "dim": context.dim,
        "rows": context.rows,
        "dtype": context.dtype,
        "memory": context.memory,
        "head_normalizes": context.head.normalizes if context.head else False,
        "told": dict(told),
    }
    buffer = io.BytesIO()
    np.savez(buffer, **{_TEXT: np.array(json.dumps(text, allow_nan=False)), **held})  # type: ignore[arg-type]
    return buffer.getvalue()


def from_bytes(file: Path) -> SavedDetector:
    """What `to_bytes` made, of a file.

    Raises:
        InputError: The file cannot be read, or is none.
        MissingError: There is no detector of that name.
        ConflictError: The detector gives other numbers in this version, or the file is of a later version.
    """
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        text = json.loads(str(arrays.pop(_TEXT)[()]))
        if text["format"] != _FORMAT:
            raise ConflictError(f"{file} was saved by a later version of featurestore: update it, or save it anew.")
        head = _head(arrays, normalizes=bool(text["head_normalizes"]))
        classes, dim, rows, memory = (int(text[name]) for name in ("classes", "dim", "rows", "memory"))
        context = SweepContext(classes, dim, rows, str(text["dtype"]), head, memory)
        name, versions, told = str(text["detector"]), dict(text["versions"]), dict(text["told"])
        statistics: dict[str, dict[str, NDArray[Any]]] = {}
        for place in [place for place in arrays if place.startswith("statistics/")]:
            _, statistic, array = place.split("/")
            statistics.setdefault(statistic, {})[array] = arrays.pop(place)
        bank = _bank(arrays, head)
    except _UNREADABLE as error:
        raise InputError(
            f"{file} cannot be read as a saved judge ({first_line(error)}): name a file that `judge.save` wrote."
        ) from error
    detector = get(name)
    here = _versions(detector, head)
    if here != versions:
        raise ConflictError(
            f"{file} was saved with another version of {name}, whose numbers differ: save it anew from its lake."
        )
    return SavedDetector(refitted(detector, statistics, context, bank), arrays, told)


def _versions(detector: Detector[Any], head: Head | None) -> dict[str, int | float | None]:
    """Constants and versions of a detector, and versions of what it learns from: with others, numbers differ."""
    needs = [need.for_head(head) for need in detector.statistics]
    constants = {f"constants/{name}": value for name, value in detector.values.items()}
    return {detector.name: detector.version, **constants, **{f"statistics/{need.name}": need.version for need in needs}}


def _head(arrays: dict[str, NDArray[Any]], *, normalizes: bool) -> Head | None:
    weight, bias, negatives = (arrays.pop(f"head/{name}", None) for name in ("weight", "bias", "negatives"))
    return None if weight is None or bias is None else Head(weight, bias, normalizes, negatives)


def _bank(arrays: dict[str, NDArray[Any]], head: Head | None) -> ArrayRows | None:
    if "bank/feature" not in arrays:
        return None
    activations = Activations(arrays.pop("bank/feature"), arrays.pop("bank/logits", None), head)
    return ArrayRows(activations, arrays.pop("bank/sample"), arrays.pop("bank/label"), "the fit rows")
