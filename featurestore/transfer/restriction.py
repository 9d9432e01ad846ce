"""Restrictions: which partitions of a lake are asked for, and what these name and cannot be without."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from featurestore.errors import MissingError
from featurestore.layout.judged_scores import JUDGING, judged_dataset
from featurestore.layout.tables import ORDER, TABLES
from featurestore.names import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from featurestore.layout.manifest import Manifest

_NAMED_BY_KEY = {"dataset": ("samples", "datasets"), "model": ("models",), "benchmark": ("benchmarks",)}
_NAMED_BY_TABLE = {
    "datasets": ("samples",),
    "activations": ("heads", "failures"),
    **dict.fromkeys(JUDGING, ("samples", "datasets", "detectors")),
    "scores": ("detectors",),
}


@dataclass(frozen=True, slots=True)
class Restriction:
    """What to keep of a lake: names, in which `*`, `?` and `[…]` stand for any characters. An empty list keeps all.

    Attributes:
        models: Models, also as views of a layer: `vit-b@blocks.6`.
        datasets: Datasets.
        tables: Tables; those that they name come too.
    """

    models: Sequence[str] = ()
    datasets: Sequence[str] = ()
    tables: Sequence[str] = ()

    @property
    def chosen_tables(self) -> list[str]:
        """The tables, in an order in which each stands after those that it names.

        Raises:
            MissingError: A pattern fits none.
        """
        if not self.tables:
            return list(ORDER)
        _check("table", self.tables, ORDER)
        asked = {name for name in ORDER if _fits(name, self.tables)}
        return [name for name in ORDER if name in asked | {other for table in asked for other in _named_by(table)}]

    @property
    def added_tables(self) -> list[str]:
        """Those of the tables that nobody asked for, and that others name."""
        return [name for name in self.chosen_tables if self.tables and not _fits(name, self.tables)]

    def of(self, held: Mapping[str, Sequence[Manifest]]) -> tuple[list[Manifest], list[Manifest]]:
        """The partitions to keep, in order, and those that judge scores and are left out since they rest on other datasets too.

        Args:
            held: Partitions by table, for at least the chosen tables.

        Raises:
            MissingError: A pattern fits no model, or no dataset; the message names the nearest.
        """
        of_tables = [manifest for table in self.chosen_tables for manifest in held[table]]
        for key, patterns in (("model", self.models), ("dataset", self.datasets)):
            _check(key, patterns, {manifest.key[key] for manifest in of_tables if key in manifest.key})
        found = [
            manifest
            for manifest in of_tables
            if _fits(manifest.key.get("model"), self.models) and _fits(manifest.key.get("dataset"), self.datasets)
        ]
        narrow = [all(_fits(name, self.datasets) for name in judged_on(manifest)) for manifest in found]
        kept, left = ([m for m, is_narrow in zip(found, narrow, strict=True) if is_narrow is k] for k in (True, False))
        return kept, left


EVERYTHING = Restriction()


def judged_on(manifest: Manifest) -> set[str]:
    """The datasets whose scores metrics and selective prediction rest on; none for other tables."""
    if manifest.table not in JUDGING:
        return set()
    judged = (judged_dataset(name) for part in manifest.parts for name in part.ingredients)
    return {dataset for dataset in judged if dataset is not None}


def _named_by(table: str) -> set[str]:
    by_key = {name for key in TABLES[table].keys for name in _NAMED_BY_KEY.get(key, ())}
    return by_key | set(_NAMED_BY_TABLE.get(table, ()))


def _fits(name: str | None, patterns: Sequence[str]) -> bool:
    """Whether a name is asked for; what has no such name always is."""
    return name is None or not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def _check(kind: str, patterns: Iterable[str], known: Iterable[str]) -> None:
    names = sorted(known)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise MissingError(f"There is no {kind} {pattern!r}: {nearest(pattern, names)}")
