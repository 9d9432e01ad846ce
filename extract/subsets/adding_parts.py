"""Adding a dataset that is a part of another one: a selection of its images, or all of them in another role."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from extract.datasets import (
    NOTHING_SEEN,
    Contents,
    DatasetRow,
    add_listed,
    read_contents,
    read_dataset,
    read_listing,
    seen_of,
    write_contents,
)
from extract.subsets.choice import part_of
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from extract.datasets import Listing, Origin, Seen
    from extract.subsets.choice import Choice
    from featurestore.lake import Lake


def add_part(
    lake: Lake,
    name: str,
    parent: str,
    choice: Choice,
    *,
    role: str | None = None,
    benchmark: str | None = None,
    group: str | None = None,
    seen_in: Seen = NOTHING_SEEN,
    replacing: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> DatasetRow:
    """Add a dataset of images of another one; nothing is listed or read but the lake.

    Args:
        lake: Where to write.
        name: The dataset's name.
        parent: The dataset whose images they are.
        choice: Which of them.
        role: As of `add_dataset`.
        benchmark: As there; images have one role in a benchmark.
        group: As there.
        seen_in: As there; what is not said is as the parent says it.
        replacing: Whether another dataset of this name may be swapped.
        say: Is told what the user should know, in a line.

    Raises:
        MissingError: There is no such parent or class.
        InputError: No image is chosen, the role needs labels that there are not, or a benchmark would hold an image in two
            roles.
        ConflictError: The lake holds a dataset of this name with other samples or another role.
    """
    if name == parent:
        raise InputError(f"A part of {parent} needs a name of its own.")
    of, whole = read_dataset(lake, parent), read_listing(lake, parent)
    samples, fewer = choice.samples(whole)
    if fewer:
        first, size = next(iter(fewer.items()))
        say(
            f"{len(fewer):,} classes have fewer than {choice.per_class} images and are kept whole (first: {first!r} with {size})"
        )
    options = replace(of.origin.options, parent=parent, chosen=choice.text)
    origin = replace(of.origin, options=options)

    def find(role: str, _: DatasetRow | None) -> tuple[Origin, Listing, dict[str, list[str]]]:
        part = part_of(whole, samples, role, parent)
        return origin, part, seen_of(of.seen_classes if role == "ood" else None, set(part.class_names))

    row = add_listed(
        lake,
        name,
        find,
        stated=True,
        role=role,
        benchmark=benchmark,
        group=group,
        seen_in=seen_in,
        replacing=replacing,
        say=say,
    )
    take_contents(lake, of, row, samples)
    return row


def take_contents(lake: Lake, parent: DatasetRow, part: DatasetRow, samples: Sequence[int]) -> None:
    """Give a part the digests of its images' bytes, where its parent has them and it has none."""
    held = read_contents(lake, parent.dataset, parent.digest)
    if held is not None and read_contents(lake, part.dataset, part.digest) is None:
        write_contents(lake, part.dataset, part.digest, Contents(held.digests[list(samples)], held.looked_at))
