"""Datasets in the lake: their rows, and the samples that they list."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from extract.datasets.listing import Listing
from extract.datasets.origin import Origin
from extract.datasets.registry import open_reader
from featurestore.errors import MissingError
from featurestore.layout.tables import TABLES
from featurestore.names import pick
from featurestore.partitions import writing

if TYPE_CHECKING:
    from extract.datasets.formats import Reader
    from featurestore.lake import Lake

ROLES = ("fit", "id", "ood", "val", "csid")


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
    ood_group: str | None = None
    seen_classes: str | None = None

    @property
    def origin(self) -> Origin:
        """How and where its images lie."""
        return Origin.parse(self.format, self.location)

    @property
    def size(self) -> str:
        """How many samples and classes it has, in words."""
        return f"{self.samples:,} samples of {self.classes:,} {'class' if self.classes == 1 else 'classes'}"

    @property
    def reader(self) -> Reader:
        """What opens its images."""
        return open_reader(self.origin)


def datasets(lake: Lake) -> list[DatasetRow]:
    """All datasets of a lake."""
    return [read_dataset(lake, name) for name in dataset_names(lake)]


def dataset_names(lake: Lake) -> list[str]:
    """The names of a lake's datasets; none where there is no lake yet."""
    if not lake.storage.exists():
        return []
    return [manifest.key["dataset"] for manifest in lake.partitions("datasets")]


def read_dataset(lake: Lake, name: str) -> DatasetRow:
    """One dataset of a lake.

    Raises:
        MissingError: The lake has none of this name; the message names the nearest.
    """
    try:
        pick("dataset", name, dataset_names(lake))
    except MissingError as error:
        raise MissingError(f"{error} Add it with `featurestore dataset add`.") from None
    (row,) = lake.read("datasets", dataset=name).to_pylist()
    return DatasetRow(dataset=name, **{**row, "benchmarks": tuple(row["benchmarks"])})


def read_listing(lake: Lake, name: str) -> Listing:
    """The samples of a dataset, as they were when it was added."""
    return Listing.from_table(lake.read("samples", dataset=name))


def write_dataset(lake: Lake, row: DatasetRow, listing: Listing) -> None:
    """Write the rows of `datasets` and `samples` of a dataset."""
    key = {"dataset": row.dataset}
    samples = writing.Target(TABLES["samples"], key, {"digest": row.digest}, {})
    writing.write_part(lake.storage, samples, listing.to_table(), replacing=True)
    columns = {**asdict(row), "benchmarks": list(row.benchmarks)}
    del columns["dataset"]
    if row.seen_classes is None:
        del columns["seen_classes"]  # a row of before says the same without it
    target = writing.Target(TABLES["datasets"], key, columns, {})
    writing.write_part(
        lake.storage, target, pa.Table.from_pylist([columns], TABLES["datasets"].columns), replacing=True
    )
