"""What the rows of a part must agree with: the samples of its dataset, its model's head, the activations it scores.

Only what belongs together is compared: activations of a dataset that changed since, or by other weights than those of
the head, are stale, which `status` tells; they are not faulty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featurestore.care import row_checks
from featurestore.errors import LakeError
from featurestore.layout import head_input
from featurestore.layout.tables import TABLES
from featurestore.partitions import derived_logits, reading, row_rules
from featurestore.partitions.encoding import to_numpy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from featurestore.layout.manifest import Manifest, Part
    from featurestore.partitions.row_rules import Check
    from featurestore.storage import Storage

_BATCH_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class CurrentPartitions:
    """What a lake holds now: its partitions by table and values of the key."""

    storage: Storage
    partitions: Mapping[tuple[str, ...], Manifest]

    def part(self, table: str, *key: str) -> Part | None:
        """The only part of a partition; None if the lake does not hold it."""
        manifest = self.partitions.get((table, *key))
        return manifest.part({}) if manifest else None

    def columns(self, names: Sequence[str], table: str, *key: str) -> list[NDArray[Any]] | None:
        """Columns of a partition that has one part; None if it is not there, or faulty, which is told in its own place."""
        manifest, part = self.partitions.get((table, *key)), self.part(table, *key)
        if manifest is None or part is None:
            return None
        try:
            blocks = list(reading.batches(self.storage, manifest, part, names, _BATCH_ROWS))
        except LakeError:
            return None
        return [np.concatenate(column) for column in zip(*blocks, strict=True)] if blocks else None


class Expectation:
    """The checks of a part's rows, and the samples that it must have in all.

    Args:
        checks: What each block of rows is checked with; blocks come in row order.
        samples: The samples that the part must have; None where nothing in the lake says.
        whose: Whose samples these are, for messages.
        some: Whether some of them may be missing.
    """

    __slots__ = ("_found", "_samples", "_some", "_whose", "checks", "rows")

    def __init__(
        self, checks: Sequence[Check], samples: NDArray[np.int64] | None = None, whose: str = "", *, some: bool = False
    ) -> None:
        self.checks = (*checks, self._look)
        self.rows = 0
        self._samples, self._whose, self._some = samples, whose, some
        self._found: list[NDArray[np.int64]] = []

    def conclusion(self) -> str:
        """What is wrong with the samples as a whole, once all rows were seen; or an empty text."""
        if self._samples is None:
            return ""
        found = np.concatenate([np.empty(0, np.int64), *self._found])
        lacking, surplus = np.setdiff1d(self._samples, found), np.setdiff1d(found, self._samples)
        said = []
        if len(lacking) and not self._some:
            said.append(f"{len(lacking):,} samples of {self._whose} are not there (first: {lacking[0]})")
        if len(surplus):
            said.append(f"{len(surplus):,} samples are not of {self._whose} (first: {surplus[0]})")
        return "; ".join(said)

    def _look(self, rows: pa.RecordBatch) -> None:
        """A check that finds no fault, but remembers what it saw."""
        self.rows += len(rows)
        if self._samples is not None:
            self._found.append(to_numpy(rows.column("sample")))


def expectation(lake: CurrentPartitions, manifest: Manifest, part: Part) -> Expectation:
    """What a part's rows must satisfy, as far as the lake can tell."""
    checks = row_rules.checks(TABLES[manifest.table], in_order=True)
    more = _OF_TABLE.get(manifest.table)
    return more(lake, manifest, part, checks) if more else Expectation(checks)


def _of_samples(lake: CurrentPartitions, manifest: Manifest, part: Part, checks: list[Check]) -> Expectation:
    dataset = manifest.key["dataset"]
    row = lake.part("datasets", dataset)
    same = row is not None and part.ingredients.get("digest") == row.ingredients.get("digest")
    count = lake.columns(["samples"], "datasets", dataset) if same else None
    return Expectation(checks, np.arange(count[0][0]) if count else None, "the dataset")


def _of_contents(lake: CurrentPartitions, manifest: Manifest, part: Part, checks: list[Check]) -> Expectation:
    """One row per sample, as long as the dataset is the one that was read."""
    samples = lake.part("samples", manifest.key["dataset"])
    same = samples is not None and part.ingredients.get("dataset_digest") == samples.ingredients.get("digest")
    wanted = np.arange(samples.rows) if samples and same else None
    return Expectation([*checks, row_checks.digests], wanted, "the dataset")


def _of_activations(lake: CurrentPartitions, manifest: Manifest, part: Part, checks: list[Check]) -> Expectation:
    model, dataset = manifest.key["model"], manifest.key["dataset"]
    head, samples = lake.part("heads", model), lake.part("samples", dataset)
    if (
        head
        and derived_logits.are_stored(part.ingredients)
        and all(part.ingredients[name] == head.ingredients[name] for name in part.ingredients.keys() & head.ingredients)
    ):
        arrays = lake.columns(["weight", "bias"], "heads", model)
        fed = head_input.normalizes(head.ingredients)
        checks += [row_checks.computed_by(*arrays, normalize=fed)] if arrays else []
    if samples and part.ingredients.get("dataset_digest") == samples.ingredients.get("digest"):
        labels = lake.columns(["label"], "samples", dataset)
        checks += [row_checks.labelled_as(labels[0])] if labels else []
        wanted = _without_failures(lake, manifest, part, len(labels[0])) if labels else None
        return Expectation(checks, wanted, "the dataset without the failures")
    return Expectation(checks)


def _of_scores(lake: CurrentPartitions, manifest: Manifest, part: Part, checks: list[Check]) -> Expectation:
    key = manifest.key["model"], manifest.key["dataset"]
    activations = lake.part("activations", *key)
    fresh = activations is not None and activations.fingerprint == part.ingredients.get("activations")
    samples = lake.columns(["sample"], "activations", *key) if fresh else None
    return Expectation(checks, samples[0] if samples else None, "the activations", some=_judge_in_part(part))


def _judge_in_part(scores: Part) -> bool:
    """Whether some samples do not judge: they are in a dataset of another role too, or tuned the detector."""
    learnt_from = scores.ingredients.get("learnt_from")
    tuned = isinstance(learnt_from, list) and scores.ingredients.get("activations") in learnt_from
    return tuned or "left_out" in scores.ingredients


def _without_failures(lake: CurrentPartitions, manifest: Manifest, part: Part, count: int) -> NDArray[np.int64] | None:
    """The samples that activations must have; None if the failures are those of another extraction."""
    key = manifest.key["model"], manifest.key["dataset"]
    failures = lake.part("failures", *key)
    if failures is None:
        return np.arange(count)
    if failures.ingredients != part.ingredients:
        return None
    failed = lake.columns(["sample"], "failures", *key) if failures.rows else [np.empty(0, np.int64)]
    return np.setdiff1d(np.arange(count), failed[0]) if failed else None


_OF_TABLE = {"samples": _of_samples, "contents": _of_contents, "activations": _of_activations, "scores": _of_scores}
