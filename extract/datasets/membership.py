"""What part a dataset of the lake plays: its role, group and benchmarks, which change without a look at its images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from extract.datasets.dataset import ROLES, datasets, read_dataset, read_listing
from extract.datasets.labelling import are_nested, check_other_images, check_same_classes
from extract.datasets.seen_classes import NOTHING_SEEN, seen_classes
from featurestore.errors import InputError
from featurestore.names import check_slug, pick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extract.datasets.dataset import DatasetRow
    from extract.datasets.listing import Listing
    from extract.datasets.seen_classes import Seen
    from featurestore.lake import Lake

_ALONE_IN_BENCHMARK = ("fit", "id")


def with_part(
    lake: Lake,
    name: str,
    *,
    role: str | None = None,
    group: str | None = None,
    seen_in: Seen = NOTHING_SEEN,
    joining: Sequence[str] = (),
    leaving: Sequence[str] = (),
) -> tuple[DatasetRow, DatasetRow]:
    """A dataset before and after the change, which is checked as `add_dataset` checks a new one.

    Args:
        lake: The lake.
        name: The dataset.
        role: Its new role.
        group: Its new group; an empty text for none.
        seen_in: By pretraining data, which of its classes these hold, None for all; an empty text takes back what was said.
        joining: Benchmarks that it is to take part in.
        leaving: Benchmarks that it is to leave.

    Raises:
        MissingError: There is no such dataset or role, or it is in no benchmark that it is to leave.
        InputError: It cannot play that part, or nothing is to change.
    """
    before = read_dataset(lake, name)
    if role is None and group is None and not seen_in and not joining and not leaving:
        raise InputError("Say what to change: --role, --group, --seen-in, --benchmark or --leave.")
    for benchmark in joining:
        check_slug("benchmark", benchmark)
    for benchmark in leaving:
        pick(f"benchmark of {name}", benchmark, before.benchmarks)
    own_group = before.ood_group if group is None else group or None
    benchmarks = tuple(sorted({*before.benchmarks, *joining} - set(leaving)))
    after = replace(before, role=role or before.role, ood_group=own_group, benchmarks=benchmarks)
    if seen_in:
        classes = set(read_listing(lake, name).class_names)
        after = replace(after, seen_classes=seen_classes(before.seen_classes, seen_in, classes, after.role))
    pick("role", after.role, ROLES)
    if before.role != after.role and "ood" in {before.role, after.role}:
        raise InputError(
            f"{name} cannot change from {before.role} to {after.role}: samples have labels in the lake unless they are OOD. Add its "
            f"images once more under another name, with --role {after.role}."
        )
    check_group(after.ood_group, after.role)
    _check(lake, before, after)
    return before, after


def check_group(group: str | None, role: str) -> None:
    """Raise if a dataset of that role cannot be in the group."""
    if group is None:
        return
    check_slug("group", group)
    if role != "ood":
        raise InputError(f"--group {group} is for OOD datasets: a dataset with the role {role} has none.")


def check_agrees(lake: Lake, row: DatasetRow, listing: Listing, other: DatasetRow, *, stated: bool) -> None:
    """Within a benchmark there is one fit and one id dataset, and a class has one label.

    Args:
        lake: The lake.
        row: A dataset.
        listing: Its samples.
        other: Another one.
        stated: Whether a file said the labels of its classes; then names may differ.

    Raises:
        InputError: The two cannot be in one benchmark, and are.
    """
    shared = sorted(set(row.benchmarks) & set(other.benchmarks))
    if not shared:
        return
    if row.role != other.role and are_nested(row.location, other.location):
        name = f"dataset {other.dataset!r} (role {other.role})"
        check_other_images(row.location, listing, other.location, read_listing(lake, other.dataset), name)
    if "ood" in {row.role, other.role}:
        return
    if row.role == other.role and row.role in _ALONE_IN_BENCHMARK:
        raise InputError(
            f"Benchmark {shared[0]!r} already has the {row.role} dataset {other.dataset!r}: name another one with --benchmark."
        )
    check_same_classes(listing, read_listing(lake, other.dataset), other.dataset, stated=stated)


def _check(lake: Lake, before: DatasetRow, after: DatasetRow) -> None:
    """Hold a dataset to those that it newly meets; where both were together before, their classes were compared then."""
    listing = read_listing(lake, after.dataset)
    for other in datasets(lake):
        met = bool(set(before.benchmarks) & set(other.benchmarks))
        if other.dataset != after.dataset and not (met and before.role == after.role):
            check_agrees(lake, after, listing, other, stated=met)
