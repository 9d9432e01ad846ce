"""A listing: the ordered samples that a dataset format found."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from featurestore.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Listing:
    """The samples of a dataset, in order; a sample's number is its position.

    Attributes:
        paths: Paths below the dataset's location, with `/`.
        bytes: Sizes of the files.
        labels: Index of each sample's class in the heads; None for OOD samples.
        class_names: Each sample's class, or OOD class.
    """

    paths: Sequence[str]
    bytes: Sequence[int]
    labels: Sequence[int | None]
    class_names: Sequence[str]

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def digest(self) -> str:
        """sha256 of the ordered paths, sizes, labels and class names."""
        digest = hashlib.sha256()
        for row in zip(self.paths, self.bytes, self.labels, self.class_names, strict=True):
            digest.update("\0".join(map(str, row)).encode())
            digest.update(b"\n")
        return digest.hexdigest()

    @property
    def label_of_class(self) -> dict[str, int | None]:
        """The label of each class name."""
        return dict(zip(self.class_names, self.labels, strict=True))

    def to_table(self) -> pa.Table:
        """The rows of the `samples` table."""
        columns = (range(len(self)), self.paths, self.bytes, self.labels, self.class_names)
        return pa.table(
            [
                pa.array(values, type=field.type)
                for values, field in zip(columns, TABLES["samples"].columns, strict=True)
            ],
            schema=TABLES["samples"].columns,
        )

    @classmethod
    def from_table(cls, rows: pa.Table) -> Listing:
        """Read the rows of the `samples` table back."""
        names = ("path", "bytes", "label", "class_name")
        return cls(*(rows.column(name).to_pylist() for name in names))


def changes(before: Listing, after: Listing) -> str:
    """Say what changed between two listings: files added, removed, resized, relabelled or reordered; empty if nothing."""
    old = {path: (size, label, name) for path, size, label, name in _rows(before)}
    new = {path: (size, label, name) for path, size, label, name in _rows(after)}
    both = [path for path in new if path in old]
    found = {
        "added": [path for path in new if path not in old],
        "removed": [path for path in old if path not in new],
        "resized": [path for path in both if new[path][0] != old[path][0]],
        "relabelled": [path for path in both if new[path][1:] != old[path][1:]],
    }
    said = [f"{len(paths):,} {verb} (first: {paths[0]})" for verb, paths in found.items() if paths]
    if not said and list(before.paths) != list(after.paths):
        said = ["their order"]
    return ", ".join(said)


def _rows(listing: Listing) -> zip[tuple[str, int, int | None, str]]:
    return zip(listing.paths, listing.bytes, listing.labels, listing.class_names, strict=True)
