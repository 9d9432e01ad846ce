"""Adding a dataset: listing its images, or finding those of the lake where they lie now."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from extract.datasets.contents import taken_anew, write_contents
from extract.datasets.dataset import ROLES, DatasetRow, datasets, read_listing, write_dataset
from extract.datasets.formats import NO_OPTIONS, FormatOptions, absolute
from extract.datasets.freshness import check_contents, relist
from extract.datasets.listing import Listing, changes, choose
from extract.datasets.membership import check_agrees, check_group
from extract.datasets.origin import Origin, detect_format
from extract.datasets.registry import look, needs_labels, stamp
from extract.datasets.seen_classes import NOTHING_SEEN, seen_classes
from featurestore.errors import ConflictError, InputError, LakeError
from featurestore.names import check_slug, pick

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from extract.datasets.contents import Contents
    from extract.datasets.seen_classes import Seen
    from featurestore.lake import Lake

    # Where images lie, which they are, and what of them the data of a pretraining are said to hold.
    Placed: TypeAlias = "tuple[Origin, Listing, Mapping[str, Sequence[str]]]"


def add_dataset(
    lake: Lake,
    name: str,
    location: Path | str,
    *,
    role: str | None = None,
    benchmark: str | None = None,
    group: str | None = None,
    seen_in: Seen = NOTHING_SEEN,
    format_: str | None = None,
    options: FormatOptions = NO_OPTIONS,
    replacing: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> DatasetRow:
    """List a dataset's images and write its rows of `datasets` and `samples`; add it to a benchmark.

    A dataset that the lake holds and that lies in another place now is read from there, if the same images lie there.

    Args:
        lake: Where to write.
        name: The dataset's name.
        location: Where the images lie: a path, a glob, or `hf:NAME@split`.
        role: `fit`, `id`, `ood`, `val`, or `csid` (in-distribution under a shift: ID, too, in the full spectrum). None for that
            which the lake holds.
        benchmark: A benchmark that it takes part in; None for those that the lake holds, and `main` for a new dataset.
        group: Group of an OOD dataset, such as `near` or `far`; None for none, or for that which the lake holds.
        seen_in: Of an OOD dataset, by pretraining data, the classes that these hold; None for all. What is not said is as the
            format or the lake says it.
        format_: How the images lie; None to go by the location.
        options: What the format needs to know, and which samples to choose.
        replacing: Whether another dataset of this name may be swapped.
        say: Is told what the user should know, in a line.

    Raises:
        InputError: A name is no slug, the images cannot be listed, or labels contradict another dataset's.
        ConflictError: The lake holds a dataset of this name with other samples or another role.
    """

    def find(role: str, existing: DatasetRow | None) -> Placed:
        is_same = existing and role == existing.role
        moved = existing and is_same and _moved(lake, existing, str(location), format_, options)
        return moved or _listed(str(location), role, format_, options, say)

    stated, asked = options.labels is not None, {"role": role, "benchmark": benchmark, "group": group}
    return add_listed(lake, name, find, seen_in=seen_in, stated=stated, replacing=replacing, say=say, **asked)


def add_listed(
    lake: Lake,
    name: str,
    find: Callable[[str, DatasetRow | None], Placed],
    *,
    role: str | None,
    benchmark: str | None,
    group: str | None,
    seen_in: Seen = NOTHING_SEEN,
    stated: bool,
    replacing: bool,
    say: Callable[[str], None],
) -> DatasetRow:
    """What `add_dataset` does, of images that are found in any way; the other arguments and errors are as there.

    Args:
        lake: Where to write.
        name: The dataset's name.
        find: From its role, and what the lake holds under that name, to where its images lie, which they are, and which of
            their classes a pretraining has seen.
        role: Its role.
        benchmark: A benchmark.
        group: Its group.
        seen_in: Which of its classes the data of a pretraining hold.
        stated: Whether the user said the labels of its classes; then names may differ from those of other datasets.
        replacing: Whether another dataset of this name may be swapped.
        say: Is told what the user should know.
    """
    check_slug("dataset", name)
    others = {other.dataset: other for other in datasets(lake)}
    existing = others.pop(name, None)
    role = role or (existing.role if existing else None)
    if role is None:
        raise InputError(f"Say with --role what {name} is for: {', '.join(ROLES)}.")
    pick("role", role, ROLES)
    check_group(group, role)
    benchmarks = (check_slug("benchmark", benchmark),) if benchmark else existing.benchmarks if existing else ("main",)
    origin, listing, found = find(role, existing)
    row = DatasetRow(
        name,
        role,
        benchmarks,
        len(listing),
        len(set(listing.class_names)),
        listing.digest,
        _remembered(origin).text,
        origin.location,
        group,
        seen_classes(existing.seen_classes if existing else None, {**found, **seen_in}, set(listing.class_names), role),
    )
    taken = None
    if existing:
        row = _joined(lake, existing, row, listing, replacing=replacing)
        row, taken = _with_contents(lake, existing, row, listing, replacing=replacing, say=say)
        if row.location != existing.location:
            say(f"{name}: its images are read from {row.location} from now on, and no more from {existing.location}")
    held = existing and (existing.digest, existing.role, existing.benchmarks)
    for other in () if held == (row.digest, row.role, row.benchmarks) else others.values():
        check_agrees(lake, row, listing, other, stated=stated and not needs_labels(origin))
    write_dataset(lake, row, listing)
    if taken:
        write_contents(lake, name, row.digest, taken)
    return row


def _listed(
    location: str, role: str, format_: str | None, options: FormatOptions, say: Callable[[str], None]
) -> Placed:
    """List what lies in a place, and choose from it what the options ask for."""
    origin = _absolute(Origin(format_ or _detected(location, say), location, options))
    whole, found = look(origin, role)
    for note in found.notes:
        say(note)
    listing, fewer = choose(whole, options)
    if fewer:
        first, size = next(iter(fewer.items()))
        say(
            f"{len(fewer):,} classes have fewer than {options.per_class} images and are kept whole (first: {first!r} with {size})"
        )
    return replace(origin, options=replace(origin.options, **found.inferred)), listing, found.seen


def _moved(
    lake: Lake, existing: DatasetRow, location: str, format_: str | None, options: FormatOptions
) -> Placed | None:
    """Where a dataset of the lake lies now, if that is another place with the same images, told by what the lake knows of it.

    None where an option says anything else than before, or images of a list lie beside a root of their own: that is listed
    anew.
    """
    held = existing.origin
    there = _absolute(Origin(held.format, location, replace(held.options, stamp=None)))
    says_more = any(value != held.options.given.get(name) for name, value in options.given.items())
    if there.location == held.location or format_ not in (None, held.format) or says_more or held.options.root:
        return None
    listing = read_listing(lake, existing.dataset)
    try:
        found = changes(listing, relist(there, listing))
    except LakeError:
        return None
    return None if found else (there, listing, NOTHING_SEEN)


def _detected(location: str, say: Callable[[str], None]) -> str:
    format_, reason = detect_format(location)
    if reason:
        say(f"{location} is read as --format {format_}, by {reason}")
    return format_


def _absolute(origin: Origin) -> Origin:
    """The same place from any working directory."""
    paths: dict[str, Any] = {
        name: value.absolute() for name, value in origin.options.given.items() if isinstance(value, Path)
    }
    here = origin.location if origin.location.startswith("hf:") else absolute(origin.location)
    return replace(origin, location=here, options=replace(origin.options, **paths))


def _remembered(origin: Origin) -> Origin:
    """What listing again and reading need: labels of classes are in the lake, so their file is not needed any more."""
    labels = origin.options.labels if needs_labels(origin) else None
    return replace(origin, options=replace(origin.options, labels=labels, stamp=origin.options.stamp or stamp(origin)))


def _with_contents(
    lake: Lake,
    existing: DatasetRow,
    row: DatasetRow,
    listing: Listing,
    *,
    replacing: bool,
    say: Callable[[str], None],
) -> tuple[DatasetRow, Contents | None]:
    """The row of the same files, added again: with another digest, and contents to be written, if bytes are others now."""
    if row.digest != existing.digest:
        return row, None
    if not replacing:
        check_contents(lake, row, listing)
        return row, None
    taken = taken_anew(lake, row.dataset, row.digest, row.origin, listing)
    if taken is None:
        return row, None
    say(
        f"{row.dataset}: images have other bytes than before, at equal sizes; `extract --replace` makes their activations again"
    )
    digest = hashlib.sha256(f"{listing.digest}\n{taken.digest}\n".encode()).hexdigest()
    return replace(row, digest=digest), taken


def _joined(lake: Lake, existing: DatasetRow, row: DatasetRow, listing: Listing, *, replacing: bool) -> DatasetRow:
    if not replacing and existing.role != row.role:
        raise ConflictError(
            f"The lake holds dataset {row.dataset!r} with the role {existing.role!r}: use another name, or --replace."
        )
    held = read_listing(lake, row.dataset) if existing.digest != row.digest else listing
    if held.digest == listing.digest:
        row = replace(row, digest=existing.digest)
    elif not replacing:
        found = changes(held, listing)
        raise ConflictError(
            f"The lake holds another dataset {row.dataset!r}; what changed: {found}. Use another name, or --replace to swap it."
        )
    benchmarks = tuple(sorted({*existing.benchmarks, *row.benchmarks}))
    return replace(row, benchmarks=benchmarks, ood_group=row.ood_group or existing.ood_group)
