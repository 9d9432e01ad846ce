"""Datasets in the lake: adding one, reading it back, and noticing that its files changed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from extract.datasets.formats import list_samples
from extract.datasets.listing import Listing, changes
from featurestore import writing
from featurestore.errors import ConflictError, InputError, MissingError
from featurestore.names import check_slug, pick
from featurestore.tables import TABLES

if TYPE_CHECKING:
    from featurestore.lake import Lake

ROLES = ("fit", "id", "ood", "val")
_ALONE_IN_BENCHMARK = ("fit", "id")


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """A row of the `datasets` table."""

    dataset: str
    role: str
    benchmarks: tuple[str, ...]
    samples: int
    classes: int
    digest: str
    format: str
    location: str


def add_dataset(
    lake: Lake,
    name: str,
    location: Path,
    *,
    role: str,
    benchmark: str = "main",
    format_: str = "folder",
    labels: Path | None = None,
    replacing: bool = False,
) -> DatasetRow:
    """List a dataset's images and write its rows of `datasets` and `samples`; add it to a benchmark.

    Raises:
        InputError: A name is no slug, the images cannot be listed, or labels contradict another dataset's.
        ConflictError: The lake holds a dataset of this name with other samples or another role.
    """
    check_slug("dataset", name)
    check_slug("benchmark", benchmark)
    pick("role", role, ROLES)
    listing = list_samples(format_, location, role, labels)
    row = DatasetRow(
        name,
        role,
        (benchmark,),
        len(listing),
        len(set(listing.class_names)),
        listing.digest,
        format_,
        str(location.absolute()),
    )
    others = {other.dataset: other for other in datasets(lake)}
    existing = others.pop(name, None)
    if existing:
        row = _joined(lake, existing, row, listing, replacing=replacing)
    for other in others.values():
        _check_agrees(lake, row, listing, other)
    _write(lake, row, listing)
    return row


def datasets(lake: Lake) -> list[DatasetRow]:
    """All datasets of a lake."""
    return [read_dataset(lake, manifest.key["dataset"]) for manifest in lake.partitions("datasets")]


def read_dataset(lake: Lake, name: str) -> DatasetRow:
    """One dataset of a lake.

    Raises:
        MissingError: The lake has none of this name; the message names the nearest.
    """
    known = [manifest.key["dataset"] for manifest in lake.partitions("datasets")]
    try:
        pick("dataset", name, known)
    except MissingError as error:
        raise MissingError(f"{error} Add it with `featurestore dataset add`.") from None
    (row,) = lake.read("datasets", dataset=name).to_pylist()
    return DatasetRow(dataset=name, **{**row, "benchmarks": tuple(row["benchmarks"])})


def read_listing(lake: Lake, name: str) -> Listing:
    """The samples of a dataset, as they were when it was added."""
    return Listing.from_table(lake.read("samples", dataset=name))


def check_unchanged(row: DatasetRow, listing: Listing) -> None:
    """Raise if a dataset's files are no longer those that were added.

    Raises:
        ConflictError: Files were added, removed, resized or moved between classes.
    """
    now = _relist(row, listing)
    found = changes(listing, now)
    if found:
        raise ConflictError(
            f"The files of dataset {row.dataset!r} in {row.location} changed since it was added: {found}. "
            f"Restore them, or take the new ones with `featurestore dataset add {row.dataset} … --replace`."
        )


def _relist(row: DatasetRow, listing: Listing) -> Listing:
    """List the files again; labels that came from a labels file stay with their classes."""
    now = list_samples(row.format, Path(row.location), "ood", None)
    label_of = listing.label_of_class
    fresh = [name for name in now.class_names if name not in label_of]
    return replace(now, labels=[label_of.get(name) for name in now.class_names]) if not fresh else now


def _joined(lake: Lake, existing: DatasetRow, row: DatasetRow, listing: Listing, *, replacing: bool) -> DatasetRow:
    if not replacing and existing.role != row.role:
        raise ConflictError(
            f"The lake holds dataset {row.dataset!r} with the role {existing.role!r}: use another name, or --replace."
        )
    if not replacing and existing.digest != row.digest:
        found = changes(read_listing(lake, row.dataset), listing)
        raise ConflictError(
            f"The lake holds another dataset {row.dataset!r}; what changed: {found}. Use another name, or --replace to swap it."
        )
    return replace(row, benchmarks=tuple(sorted({*existing.benchmarks, *row.benchmarks})))


def _check_agrees(lake: Lake, row: DatasetRow, listing: Listing, other: DatasetRow) -> None:
    """Within a benchmark there is one fit and one id dataset, and a class has one label."""
    shared = sorted(set(row.benchmarks) & set(other.benchmarks))
    if not shared or "ood" in {row.role, other.role}:
        return
    if row.role == other.role and row.role in _ALONE_IN_BENCHMARK:
        raise InputError(
            f"Benchmark {shared[0]!r} already has the {row.role} dataset {other.dataset!r}: name another one with --benchmark."
        )
    theirs = read_listing(lake, other.dataset).label_of_class
    for name, label in listing.label_of_class.items():
        if theirs.get(name, label) != label:
            raise InputError(
                f"Class {name!r} would get label {label} here, but has label {theirs[name]} in dataset {other.dataset!r}: "
                "classes must be the same, or give a CSV class_name,label with --labels."
            )


def _write(lake: Lake, row: DatasetRow, listing: Listing) -> None:
    key = {"dataset": row.dataset}
    samples = writing.Target(TABLES["samples"], key, {"digest": row.digest}, {})
    writing.write_part(lake.storage, samples, listing.to_table(), replacing=True)
    columns = {**asdict(row), "benchmarks": list(row.benchmarks)}
    del columns["dataset"]
    target = writing.Target(TABLES["datasets"], key, columns, {})
    writing.write_part(
        lake.storage, target, pa.Table.from_pylist([columns], TABLES["datasets"].columns), replacing=True
    )
