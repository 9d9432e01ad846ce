"""Activations of a part of a dataset from the rows of the whole: the same numbers, without a network or an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from extract.datasets import read_dataset, read_listing
from extract.subsets.adding_parts import take_contents
from featurestore.errors import MissingError
from featurestore.fragments import opening
from featurestore.layout.reading_state import EDITION
from featurestore.layout.tables import TABLES
from featurestore.partitions import snapshot, writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from extract.datasets import DatasetRow, Listing
    from featurestore.lake import Lake
    from featurestore.layout.manifest import Manifest, Part

# What may differ between activations of the whole and of the part: which images there are, and how they are cut into fragments.
_OF_THE_DATASET = {"dataset_digest", "fragment_rows", EDITION}
_FAILURES = TABLES["failures"]


@dataclass(frozen=True, slots=True)
class _Source:
    """Rows of a parent that a part of it can take.

    Attributes:
        parent: The parent.
        manifest: The partition of its activations.
        part: Its only part.
        samples: The parent's number of each sample of the part, ascending.
    """

    parent: DatasetRow
    manifest: Manifest
    part: Part
    samples: NDArray[np.int64]


def fill(lake: Lake, target: writing.Target, dataset: DatasetRow) -> str | None:
    """Commit a model's activations on a part of a dataset, if the lake holds those of the same network on the whole.

    Args:
        lake: The lake.
        target: The activations that an extraction would make.
        dataset: The dataset, which is a part of another one.

    Returns:
        A line that says whose rows they are; None if nothing was done, since they are there already, or the whole is not.
    """
    held = snapshot.latest(lake.storage, target.table, target.key)
    listing = read_listing(lake, dataset.dataset)
    source = None if held else _source(lake, target, dataset, listing)
    if source is None:
        return None
    take_contents(lake, source.parent, dataset, source.samples.tolist())
    failures = _failures(lake, source)
    if failures:
        ours = writing.Target(_FAILURES, target.key, target.ingredients, {})
        writing.write_part(lake.storage, ours, pa.Table.from_pylist(failures, _FAILURES.columns), replacing=True)
    fragments = []
    for number, rows in enumerate(_fragments(lake, source, listing, int(str(target.ingredients["fragment_rows"])))):
        first, last = rows.first, rows.first + rows.count
        lost = [list(failure.values()) for failure in failures if first <= failure["sample"] < last]
        fragments.append(writing.write_fragment(lake.storage, target, number, rows.table, {"failures": lost}))
    details = {"rows_of": source.parent.dataset, "rows_of_fingerprint": source.part.fingerprint}
    writing.commit(lake.storage, target.table, target.key, [target.part(fragments, details)], replacing=False)
    count = sum(fragment.rows for fragment in fragments)
    lost_too = f", {len(failures):,} could not be read there" if failures else ""
    return f"{dataset.dataset} by {target.key['model']}: {count:,} rows of {source.parent.dataset}{lost_too}"


def _source(lake: Lake, target: writing.Target, dataset: DatasetRow, listing: Listing) -> _Source | None:
    """Where the rows are; None if the parent is gone or another one now, or no such network was run on it."""
    try:
        parent = read_dataset(lake, str(dataset.origin.options.parent))
        manifest, part = lake.part("activations", model=target.key["model"], dataset=parent.dataset)
    except MissingError:
        return None
    if part.ingredients.get("dataset_digest") != parent.digest:
        return None
    if _of_the_network(part.ingredients) != _of_the_network(target.ingredients):
        return None
    whole = read_listing(lake, parent.dataset)
    numbers = {(path, size): number for number, (path, size) in enumerate(zip(whole.paths, whole.bytes, strict=True))}
    found = [numbers.get(image, -1) for image in zip(listing.paths, listing.bytes, strict=True)]
    samples = np.array(found, np.int64)
    ascending = bool((np.diff(samples) > 0).all()) and (samples[:1] >= 0).all()
    return _Source(parent, manifest, part, samples) if ascending else None


def _of_the_network(ingredients: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in ingredients.items() if name not in _OF_THE_DATASET}


def _failures(lake: Lake, source: _Source) -> list[dict[str, Any]]:
    """The images of the part that could not be read when the whole was extracted."""
    try:
        _, part = lake.part("failures", **source.manifest.key)
    except MissingError:
        return []
    if part.ingredients != source.part.ingredients or not part.rows:
        return []
    number_of = {parents: own for own, parents in enumerate(source.samples.tolist())}
    rows = lake.read("failures", **source.manifest.key).to_pylist()
    return [{**row, "sample": number_of[row["sample"]]} for row in rows if row["sample"] in number_of]


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of one fragment, and the samples that it covers."""

    first: int
    count: int
    table: pa.Table


def _fragments(lake: Lake, source: _Source, listing: Listing, fragment_rows: int) -> Iterator[_Rows]:
    """The rows of the part, cut into its own fragments, with memory for one of each."""
    labels = pa.array(listing.labels, pa.int64())
    blocks = _chosen(lake, source, labels)
    waiting: list[pa.Table] = []
    for first in range(0, len(listing), fragment_rows):
        last = min(first + fragment_rows, len(listing))
        while not waiting or _last_sample(waiting[-1]) < last - 1:
            block = next(blocks, None)
            if block is None:
                break
            waiting.append(block)
        table = pa.concat_tables(waiting)
        split = int(np.searchsorted(table["sample"].to_numpy(), last))
        yield _Rows(first, last - first, table.slice(0, split).combine_chunks())
        waiting = [table.slice(split)]


def _last_sample(block: pa.Table) -> int:
    return int(block["sample"][-1].as_py()) if len(block) else -1


def _chosen(lake: Lake, source: _Source, labels: pa.Array) -> Iterator[pa.Table]:
    """The chosen rows of each fragment of the parent, with the samples and labels of the part; empty ones too."""
    for path, fragment in source.manifest.files(source.part):
        opened = opening.open_parquet(opening.opener(lake.storage, path, fragment), path, fragment)
        rows = opened.read(use_threads=False)
        parents = rows["sample"].to_numpy()
        own = np.searchsorted(source.samples, parents)
        own[own == len(source.samples)] = 0
        is_chosen = source.samples[own] == parents
        numbers = pa.array(own[is_chosen])
        taken = rows.filter(pa.array(is_chosen))
        for name, values in (("sample", numbers), ("label", pc.take(labels, numbers))):
            place = taken.schema.get_field_index(name)
            taken = taken.set_column(place, taken.schema.field(place), values)
        yield taken.replace_schema_metadata(None)
