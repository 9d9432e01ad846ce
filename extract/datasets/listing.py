"""A listing: the ordered samples of a dataset, what changed in it, and seeded subsets of it for cheap studies."""

from __future__ import annotations

import hashlib
import posixpath
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from featurestore.errors import InputError
from featurestore.layout.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from extract.datasets.formats import FormatOptions

_ROWS_AT_ONCE = 100_000


@dataclass(frozen=True, slots=True)
class Listing:
    """The samples of a dataset, in order; a sample's number is its position.

    Attributes:
        paths: Address of each image inside the dataset; for files, the path below its location, with `/`.
        bytes: Sizes of the images.
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
        """sha256 of the ordered paths, sizes, labels and class names.

        A row is hashed as `path NUL size NUL label NUL class_name LF`, the label of an OOD sample as `None`.
        """
        digest = hashlib.sha256()
        for block in self._blocks():
            columns = [pl.col(name).cast(pl.String).fill_null("None") for name in block.columns]
            lines = block.select(pl.concat_str(pl.concat_str(columns, separator="\0"), pl.lit("\n"))).to_series()
            digest.update("".join(lines.to_list()).encode())
        return digest.hexdigest()

    @property
    def label_of_class(self) -> dict[str, int | None]:
        """The label of each class name."""
        return dict(zip(self.class_names, self.labels, strict=True))

    def take(self, samples: Sequence[int]) -> Listing:
        """The samples at these positions, in this order."""
        columns = (self.paths, self.bytes, self.labels, self.class_names)
        return Listing(*([column[sample] for sample in samples] for column in columns))  # type: ignore[arg-type] # columns keep their types

    def to_table(self) -> pa.Table:
        """The rows of the `samples` table."""
        schema = TABLES["samples"].columns
        columns: list[Any] = [np.arange(len(self)), self.paths, self.bytes, self.labels, self.class_names]
        return pa.table([pa.array(v, type=f.type) for v, f in zip(columns, schema, strict=True)], schema=schema)

    @classmethod
    def from_table(cls, rows: pa.Table) -> Listing:
        """Read the rows of the `samples` table back."""
        frame = pl.from_arrow(rows.select(["path", "bytes", "label", "class_name"]))
        return cls(*(column.to_list() for column in frame.get_columns()))  # type: ignore[union-attr] # a table gives a frame

    def _blocks(self) -> Iterator[pl.DataFrame]:
        schema = {"path": pl.String, "bytes": pl.Int64, "label": pl.Int64, "class_name": pl.String}
        columns = (self.paths, self.bytes, self.labels, self.class_names)
        for start in range(0, len(self), _ROWS_AT_ONCE):
            block = [column[start : start + _ROWS_AT_ONCE] for column in columns]
            yield pl.DataFrame(dict(zip(schema, block, strict=True)), schema=schema)


def check_paths(paths: Sequence[str], where: str, root: str = "") -> None:
    """Raise if a path is listed twice, in whatever spelling, or is no text that Parquet can hold.

    Args:
        paths: The images' addresses.
        where: What messages call the list.
        root: The folder that they are relative to, if they are files.

    Raises:
        InputError: Names the first of them.
    """
    named = [_plain(path, root) for path in paths]
    if len(set(named)) < len(named):
        repeated = [path for path, count in Counter(named).items() if count > 1]
        raise InputError(
            f"{where} lists {repeated[0]!r} more than once ({len(repeated):,} paths are repeated): "
            "each image is one sample; remove the repetitions."
        )
    for path in paths:
        if not path.isascii():
            _check_encodable(path, where)


def _plain(path: str, root: str) -> str:
    """One spelling of a path: `./a/x`, `a//x`, `b/../a/x` and `ROOT/a/x` are `a/x`."""
    if not path.startswith(("/", "./", "../")) and "//" not in path and "/." not in path:
        return path
    return posixpath.normpath(posixpath.join(root, path)).removeprefix(f"{posixpath.normpath(root)}/" if root else "")


def _check_encodable(path: str, where: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"The file name {path!a} in {where} is not UTF-8: rename the file, then add the dataset again."
        ) from error


def changes(before: Listing, after: Listing) -> str:
    """Say what changed between two listings: files added, removed, resized, relabelled or reordered; empty if nothing."""
    if before == after:
        return ""
    old, new = _by_path(before), _by_path(after)
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


def _by_path(listing: Listing) -> dict[str, tuple[int, int | None, str]]:
    rows = zip(listing.bytes, listing.labels, listing.class_names, strict=True)
    return dict(zip(listing.paths, rows, strict=True))


def choose(listing: Listing, options: FormatOptions) -> tuple[Listing, Mapping[str, int]]:
    """Choose `per_class` samples of each class without replacement; what is chosen of a class depends on no other class.

    Args:
        listing: All samples.
        options: `per_class`, None for all samples, and `seed`, None for 0.

    Returns:
        The chosen samples in their order, and the sizes of the classes that have fewer and are kept whole.

    Raises:
        InputError: `per_class` is less than 1, the seed is negative, or there is a seed but no `per_class`.
    """
    if options.per_class is None:
        if options.seed is not None:
            raise InputError("--seed chooses the images of --per-class: give both, or neither.")
        return listing, {}
    if options.per_class < 1 or (options.seed or 0) < 0:
        raise InputError(
            f"--per-class must be at least 1 and --seed at least 0: got {options.per_class} and {options.seed}."
        )
    members: dict[str, list[int]] = defaultdict(list)
    for sample, name in enumerate(listing.class_names):
        members[name].append(sample)
    chosen = [_choose(listing, name, samples, options) for name, samples in members.items()]
    fewer = {name: len(samples) for name, samples in sorted(members.items()) if len(samples) < options.per_class}
    return listing.take(sorted(sample for samples in chosen for sample in samples)), fewer


def _choose(listing: Listing, name: str, samples: Sequence[int], options: FormatOptions) -> Sequence[int]:
    size = options.per_class or len(samples)
    if len(samples) <= size:
        return samples
    by_path = sorted(samples, key=listing.paths.__getitem__)
    generator = np.random.default_rng([options.seed or 0, *name.encode()])
    return [by_path[position] for position in generator.choice(len(by_path), size, replace=False)]
