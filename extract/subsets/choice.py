"""Choices: which images of a dataset are in a part of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import duckdb

from extract.datasets import FormatOptions, Listing, choose
from featurestore.errors import InputError, one_line
from featurestore.names import pick
from featurestore.query.conditions import conditions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Choice:
    """Which images of a dataset to take: those that meet all conditions; the images per class are chosen from these.

    Attributes:
        classes: Names of classes; all if empty.
        where: A condition on the columns of `samples`; none if empty.
        per_class: Images of each class; None for all.
        seed: Seed of that choice; None for 0.
    """

    classes: Sequence[str] = ()
    where: str = ""
    per_class: int | None = None
    seed: int | None = None

    @property
    def text(self) -> str:
        """How the lake and messages say it."""
        said = [
            f"classes {','.join(self.classes)}" if self.classes else "",
            f"where {self.where}" if self.where else "",
            f"{self.per_class} per class, seed {self.seed or 0}" if self.per_class is not None else "",
        ]
        return "; ".join(filter(None, said)) or "all"

    def samples(self, listing: Listing) -> tuple[list[int], Mapping[str, int]]:
        """The positions of the images that are chosen, in order, and the sizes of the classes that have fewer than asked for.

        Raises:
            MissingError: There is no such class; the message names the nearest.
            InputError: The condition is not one, or nothing is left.
        """
        known = set(listing.class_names)
        wanted = {pick("class", name, known) for name in self.classes} or known
        left = [n for n in _where(listing, self.where) if listing.class_names[n] in wanted]
        if not left:
            raise InputError(f"No image is chosen by {self.text}.")
        part = listing.take(left)
        numbers = {path: number for number, path in zip(left, part.paths, strict=True)}
        chosen, fewer = choose(part, FormatOptions(per_class=self.per_class, seed=self.seed))
        return [numbers[path] for path in chosen.paths], fewer


def _where(listing: Listing, condition: str) -> list[int]:
    """The positions of the samples of which a condition holds; DuckDB evaluates it as it was checked and written anew."""
    if not condition:
        return list(range(len(listing)))
    rows = listing.to_table()
    checked = " and ".join(f"({each.sql})" for each in conditions(condition, rows.column_names))
    with duckdb.connect() as connection:
        connection.register("samples", rows)
        try:
            found = connection.execute(f"select sample from samples where {checked} order by sample")  # noqa: S608 # checked
        except duckdb.Error as error:
            raise InputError(f"--where {condition!r} cannot be evaluated: {one_line(error)}") from error
        return [sample for (sample,) in found.fetchall()]


def part_of(listing: Listing, samples: Sequence[int], role: str, parent: str) -> Listing:
    """The listing of a part of a dataset in a role of its own.

    Raises:
        InputError: The role needs labels, and the dataset has none.
    """
    part = listing.take(samples)
    if role == "ood":
        return replace(part, labels=[None] * len(part))
    if None in part.labels:
        raise InputError(f"The images of {parent} have no labels in the lake, which the role {role} needs.")
    return part
