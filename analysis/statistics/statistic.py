"""What a statistic is: a name, and an accumulator that sees blocks of rows, merges with others of its kind, and ends in arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping
    from typing import Self

    from numpy.typing import NDArray

    from analysis.rows.activations import Block
    from analysis.rows.head import Head

Arrays: TypeAlias = "Mapping[str, NDArray[Any]]"

FIT = "fit"
"""The fit dataset."""

VALIDATION = "val"
"""A dataset of role `val`; without one, a seeded tenth of the ID test set, which is then left out of the evaluation."""


@dataclass(frozen=True, slots=True, eq=False)
class SweepContext:
    """What an accumulator may know before the first row.

    Attributes:
        classes: C, the classes of the model.
        dim: D, the feature dimension.
        rows: Rows of the dataset.
        dtype: Stored precision, `float16` or `float32`.
        head: The final linear layer; None for a model without.
        memory: Bytes that the accumulators together should stay below; they keep to it where they can.
        results: Finished statistics by name, at least those that the statistic comes `after`.
    """

    classes: int
    dim: int
    rows: int
    dtype: str = "float32"
    head: Head | None = None
    memory: int = 1 << 30
    results: Mapping[str, Arrays] = field(default_factory=dict)


class Accumulator(Protocol):
    """The state of one statistic over the rows seen so far; it does not grow with them."""

    def update(self, block: Block) -> None:
        """Add a block."""

    def merge(self, other: Self) -> None:
        """Add all that another accumulator of the same statistic has seen, of rows that come later."""

    def finish(self) -> dict[str, NDArray[Any]]:
        """Return the statistic as named arrays, float64 or integers, which are what the lake stores."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """A mergeable statistic of a dataset's activations; equal names mean equal numbers.

    Attributes:
        name: Slug that names it everywhere; what distinguishes it, such as a quantile or a share, is part of it.
        start: Makes an accumulator that has seen nothing.
        reads: Which of `feature` and `logits` it looks at.
        after: Statistics that must be finished before this one can start, each of them one sweep earlier.
        source: `FIT` or `VALIDATION`: which dataset it is of.
        labelled: Whether it needs every row's label.
        again: Given what a sweep found, what goes on from there in one more sweep, under the same name; None once all is
            found. For what does not fit in memory at once.
        for_unit_features: What takes its place for a model whose head is fed the feature at unit length.
        within: A statistic that holds the same arrays and more, to the last bit: a lake gathers that one, which others need.
        version: Raised whenever its numbers change, so that stored fits become stale.
        held: Of one that compares queries with every row: bytes that all its accumulators together hold of each query, beside
            its stored feature and logits. None stands for 56 for each dimension and each class.
    """

    name: str
    start: Callable[[SweepContext], Accumulator] = field(compare=False)
    reads: tuple[str, ...] = ("feature",)
    after: tuple[Statistic, ...] = ()
    source: str = FIT
    labelled: bool = False
    again: Callable[[Arrays], Statistic | None] | None = field(default=None, compare=False)
    for_unit_features: Statistic | None = None
    within: Statistic | None = None
    version: int = 1
    held: int | None = None

    def of(self, *, normalizes: bool) -> Statistic:
        """This statistic, or what takes its place for a model whose head normalises."""
        return self.for_unit_features if normalizes and self.for_unit_features else self

    def for_head(self, head: Head | None) -> Statistic:
        """The same, given the head; None for a model without."""
        return self.of(normalizes=head is not None and head.normalizes)


def with_earlier(statistics: Iterable[Statistic], known: Container[str] = ()) -> list[Statistic]:
    """Statistics and all that they come after, each once and behind those, without what is known by name."""
    found: dict[str, Statistic] = {}
    for statistic in statistics:
        if statistic.name not in known:
            found |= {earlier.name: earlier for earlier in with_earlier(statistic.after, known)}
            found[statistic.name] = statistic
    return list(found.values())
