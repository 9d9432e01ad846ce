"""Accuracy at once: what a job says and stores of models on labelled datasets, extracted just now or long ago."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extract.predictions.class_maps import doubt
from extract.predictions.predictions import Predictions
from featurestore.partitions import derived_logits, snapshot, writing
from featurestore.partitions.stored_accuracy import accuracy_details, accuracy_target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from featurestore.lake import Lake
    from featurestore.layout.manifest import Part

_WARNING = "warning"


def store_accuracy(
    lake: Lake, key: Mapping[str, str], activations: Part, predictions: Predictions, say: Callable[[str], None]
) -> None:
    """Say and store a model's accuracy on a dataset, with a warning where its labels or weights are in doubt.

    Args:
        lake: The lake.
        key: Model and dataset.
        activations: The activations.
        predictions: Of all samples that could be read; without labels there is nothing to do.
        say: Is told a line, or two.
    """
    accuracy, target = predictions.accuracy, accuracy_target(key["model"], key["dataset"], activations.fingerprint)
    if not accuracy.n:
        # That of a head, or of labels, which were there before goes.
        if snapshot.latest(lake.storage, target.table, target.key):
            writing.write_part(lake.storage, target, target.table.columns.empty_table(), replacing=True)
        return
    names = _class_names(lake, key["dataset"])
    warning = doubt(predictions, names)
    details = accuracy_details(key["model"], key["dataset"], activations) | ({_WARNING: warning} if warning else {})
    writing.write_part(lake.storage, target, accuracy.rows, replacing=True, details=details)
    say(f"{_pair(key)}: top-1 {accuracy.top1:.2%}, top-5 {accuracy.top5:.2%} of {accuracy.n:,} labelled samples")
    _warn(key, warning, say)


def store_missing_accuracies(
    lake: Lake, hits: Sequence[Mapping[str, str]], say: Callable[[str], None]
) -> dict[tuple[str, str], float]:
    """Say and store the accuracy of activations that were in the lake already, where it does not hold it.

    Warnings of what it holds are said again.

    Returns:
        Top-1 by model and dataset of what the lake held.
    """
    if not hits:
        return {}
    activations = _parts(lake, "activations")
    held, labelled = _parts(lake, "accuracy"), _labelled(lake)
    known: dict[tuple[str, str], float] = {}
    for key in hits:
        pair = key["model"], key["dataset"]
        if key["dataset"] not in labelled or derived_logits.are_absent(activations[pair].ingredients):
            continue
        target, stored = accuracy_target(*pair, activations[pair].fingerprint), held.get(pair)
        if stored is None or stored.fingerprint != target.fingerprint:
            store_accuracy(lake, key, activations[pair], read_predictions(lake, key), say)
            continue
        for share in lake.read("accuracy", model=pair[0], dataset=pair[1]).column("top1").to_pylist():
            known[pair] = share
        _warn(key, str(stored.details.get(_WARNING, "")), say)
    return known


def read_predictions(lake: Lake, key: Mapping[str, str]) -> Predictions:
    """The predictions of stored activations; none of a model without a head."""
    if derived_logits.are_absent(lake.part("activations", **key)[1].ingredients):
        return Predictions.joined([])
    blocks = lake.batches(columns=("logits", "label"), model=key["model"], dataset=key["dataset"])
    return Predictions.joined(Predictions.of(logits, label) for logits, label in blocks)


def _parts(lake: Lake, table: str) -> dict[tuple[str, str], Part]:
    return {(m.key["model"], m.key["dataset"]): m.parts[0] for m in lake.partitions(table)}


def _labelled(lake: Lake) -> set[str]:
    """The datasets with a label."""
    import polars as pl

    found = lake.scan("samples").filter(pl.col("label").is_not_null()).select("dataset").unique().collect()
    return set(found["dataset"].to_list())


def _class_names(lake: Lake, dataset: str) -> dict[int, str]:
    """The name of each label's class; empty if a label has several."""
    rows = lake.scan("samples", dataset=dataset).select("label", "class_name").drop_nulls().unique().collect().rows()
    names = dict(rows)
    return names if len(names) == len(rows) == len(set(names.values())) else {}


def _warn(key: Mapping[str, str], warning: str, say: Callable[[str], None]) -> None:
    if warning:
        say(f"Warning: {_pair(key)}: {warning}")


def _pair(key: Mapping[str, str]) -> str:
    return f"{key['dataset']} by {key['model']}"
