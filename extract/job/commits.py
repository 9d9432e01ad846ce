"""What a pass leaves in the lake: the dataset's contents, failures, and activations that are no worse than those that are there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from extract.datasets import Contents, check_equal, read_contents, read_digests, read_listing, unread, write_contents
from extract.job.plan import UNSETTLED, fragment_ranges, held_part, is_same
from extract.predictions import Predictions, read_predictions
from featurestore.layout.reading_state import without
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extract.datasets import DatasetRow
    from extract.job.plan import Task
    from extract.job.unit import Written
    from featurestore.lake import Lake
    from featurestore.layout.manifest import Part


@dataclass(frozen=True, slots=True)
class CommittedTask:
    """What became of a task.

    Attributes:
        part: The activations that the lake holds now.
        failed: Samples that could not be read this time.
        is_ours: Whether the activations are equal to what was made.
        said: What users should know, without the names of model and dataset.
    """

    part: Part
    failed: int
    is_ours: bool
    said: str


def settle_contents(
    lake: Lake, dataset: DatasetRow, fragment_rows: int, written: Sequence[Written], looked_at: int
) -> None:
    """Write a dataset's contents if the lake has none, or the digests that they lack.

    For new ones, images of fragments that were there already are read once more.

    Args:
        lake: The lake.
        dataset: What was read.
        fragment_rows: Samples per fragment.
        written: What the pass's units read.
        looked_at: When the pass began, in nanoseconds since 1970.

    Raises:
        ConflictError: The lake has contents, and images have other bytes.
    """
    listing, digests = read_listing(lake, dataset.dataset), unread(dataset.samples)
    found = {number: block for unit in written for number, block in unit.digests.items()}
    held = read_contents(lake, dataset.dataset, dataset.digest)
    for number, samples in enumerate(fragment_ranges(dataset.samples, fragment_rows)):
        rows = slice(samples.start, samples.stop)
        if number in found:
            digests[rows] = found[number]
        elif held is None:
            digests[rows] = read_digests(dataset.reader, listing.paths[rows])
    if held is None:
        write_contents(lake, dataset.dataset, dataset.digest, Contents(digests, looked_at))
    else:  # another job wrote them meanwhile, or each unit compared its own
        check_equal(dataset.dataset, listing.paths, digests, held.digests)
        known = np.where(held.digests.any(axis=1, keepdims=True), held.digests, digests)
        if not np.array_equal(known, held.digests):  # images that could not be read by then
            write_contents(lake, dataset.dataset, dataset.digest, Contents(known, held.looked_at))


def commit_task(
    lake: Lake, task: Task, written: Sequence[Written], details: Mapping[str, Any], *, replacing: bool
) -> CommittedTask:
    """Commit what was made, unless the lake holds as many samples of the same.

    Failures come first: once the activations are visible, what is missing from them is, too.

    Args:
        lake: The lake.
        task: What was to be made.
        written: What the units wrote.
        details: What is worth knowing of it.
        replacing: Whether what was made from other ingredients may be swapped.
    """
    name = task.spec.name
    fragments = {number: fragment for unit in written for number, fragment in unit.fragments[name].items()}
    lost = {number: failures for unit in written for number, failures in unit.failures[name].items()}
    failures = [failure for number in sorted(lost) for failure in lost[number]]
    away = [sample for unit in written for sample in unit.away[name]]
    unsettled = sorted(number for unit in written for number in unit.unsettled[name])
    target = replace(task.target, ingredients=without(task.target.ingredients, away))
    part = target.part([fragments[number] for number in sorted(fragments)], {**details, UNSETTLED: unsettled})
    held = held_part(lake.storage, target)
    same = held is not None and is_same(held, target)
    if held and same and held.rows >= part.rows:
        others = sum(unit.kept.get(name, 0) for unit in written)
        others += sum(ours.sha256 != theirs.sha256 for ours, theirs in zip(part.fragments, held.fragments, strict=True))
        return CommittedTask(held, len(failures), not others, _said_of_again(lake, task, others) if task.again else "")
    table = TABLES["failures"]
    if failures or lake.partitions("failures", **target.key):
        ours = writing.Target(table, target.key, target.ingredients, {})
        rows = [dict(zip(table.columns.names, failure, strict=True)) for failure in failures]
        writing.write_part(lake.storage, ours, pa.Table.from_pylist(rows, table.columns), replacing=True)
    writing.commit(lake.storage, target.table, target.key, [part], replacing=replacing or same)
    more = part.rows - held.rows if held and same else 0
    said = f"{more:,} samples that were failures are among its activations now" if more else ""
    return CommittedTask(part, len(failures), is_ours=True, said=said)


def _said_of_again(lake: Lake, task: Task, others: int) -> str:
    """What became of activations that were made once more from what they were made from before, with no more samples."""
    if not others:
        return "made again, equal to the byte"
    place = lake.location.rstrip("/")
    return (
        f"made again, and {others:,} of its fragments have other bytes (another machine or version); those that the lake holds "
        f"stay, since fragments never change. To take the new ones, delete {place}/{task.target.folder} and extract again"
    )


def predictions_of(lake: Lake, task: Task, written: Sequence[Written], made: CommittedTask) -> Predictions:
    """All predictions of a task; of fragments that an earlier job left, they are read back with all others."""
    of = task.spec.name
    found = {number: seen for unit in written for number, seen in unit.predictions[of].items()}
    if not made.is_ours or found.keys() != {number for unit in written for number in unit.fragments[of]}:
        return read_predictions(lake, task.target.key)
    return Predictions.joined(found[number] for number in sorted(found))
