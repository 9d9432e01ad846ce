"""Datasets in the lake: adding one, reading it back, and noticing that its files changed."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from extract.datasets.agreement import are_nested, check_other_images, check_same_classes
from extract.datasets.contents import check_written_since, taken_anew, write_contents
from extract.datasets.formats import NO_OPTIONS, FileReader, FormatOptions, absolute, file_sizes
from extract.datasets.listing import Listing, changes, choose
from extract.datasets.origin import Origin, detect_format
from extract.datasets.registry import is_untouched, list_again, look, needs_labels, open_reader, stamp
from featurestore.errors import ConflictError, InputError, LakeError, MissingError
from featurestore.layout.tables import TABLES
from featurestore.names import check_slug, pick
from featurestore.partitions import writing

if TYPE_CHECKING:
    from collections.abc import Callable

    from extract.datasets.contents import Contents
    from extract.datasets.formats import Reader
    from featurestore.lake import Lake

ROLES = ("fit", "id", "ood", "val", "csid")
_ALONE_IN_BENCHMARK = ("fit", "id")
_AT_ONCE = 1_024


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

    @property
    def origin(self) -> Origin:
        """How and where its images lie."""
        return Origin.parse(self.format, self.location)

    @property
    def reader(self) -> Reader:
        """What opens its images."""
        return open_reader(self.origin)


def add_dataset(
    lake: Lake,
    name: str,
    location: Path | str,
    *,
    role: str | None = None,
    benchmark: str | None = None,
    group: str | None = None,
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
        format_: How the images lie; None to go by the location.
        options: What the format needs to know, and which samples to choose.
        replacing: Whether another dataset of this name may be swapped.
        say: Is told what the user should know, in a line.

    Raises:
        InputError: A name is no slug, the images cannot be listed, or labels contradict another dataset's.
        ConflictError: The lake holds a dataset of this name with other samples or another role.
    """

    def find(role: str, existing: DatasetRow | None) -> tuple[Origin, Listing]:
        is_same = existing and role == existing.role
        moved = existing and is_same and _moved(lake, existing, str(location), format_, options)
        return moved or _listed(str(location), role, format_, options, say)

    stated, asked = options.labels is not None, {"role": role, "benchmark": benchmark, "group": group}
    return add_listed(lake, name, find, stated=stated, replacing=replacing, say=say, **asked)


def add_listed(
    lake: Lake,
    name: str,
    find: Callable[[str, DatasetRow | None], tuple[Origin, Listing]],
    *,
    role: str | None,
    benchmark: str | None,
    group: str | None,
    stated: bool,
    replacing: bool,
    say: Callable[[str], None],
) -> DatasetRow:
    """What `add_dataset` does, of images that are found in any way; the other arguments and errors are as there.

    Args:
        lake: Where to write.
        name: The dataset's name.
        find: From its role, and what the lake holds under that name, to where its images lie and which they are.
        role: Its role.
        benchmark: A benchmark.
        group: Its group.
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
    origin, listing = find(role, existing)
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
    _write(lake, row, listing)
    if taken:
        write_contents(lake, name, row.digest, taken)
    return row


def _listed(
    location: str, role: str, format_: str | None, options: FormatOptions, say: Callable[[str], None]
) -> tuple[Origin, Listing]:
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
    return replace(origin, options=replace(origin.options, **found.inferred)), listing


def _moved(
    lake: Lake, existing: DatasetRow, location: str, format_: str | None, options: FormatOptions
) -> tuple[Origin, Listing] | None:
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
        found = changes(listing, _relist(there, listing))
    except LakeError:
        return None
    return None if found else (there, listing)


def check_group(group: str | None, role: str) -> None:
    """Raise if a dataset of that role cannot be in the group."""
    if group is None:
        return
    check_slug("group", group)
    if role != "ood":
        raise InputError(f"--group {group} is for OOD datasets: a dataset with the role {role} has none.")


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


def check_unchanged(row: DatasetRow, listing: Listing) -> None:
    """Raise if a dataset's files are no longer those that were added.

    Raises:
        InputError: None of them is there, or they cannot be listed.
        ConflictError: Files were added, removed, resized or moved between classes.
    """
    if _are_away(row, listing):
        raise InputError(
            f"The images of dataset {row.dataset!r} are not where they were ({row.location}): bring them back, or add it "
            f"again from where they are now, with `featurestore dataset add {row.dataset} PATH`."
        )
    if is_untouched(row.origin, listing):
        return
    found = changes(listing, _relist(row.origin, listing))
    if found:
        raise ConflictError(
            f"The files of dataset {row.dataset!r} in {row.location} changed since it was added: {found}. "
            f"Restore them, or take the new ones with `featurestore dataset add {row.dataset} … --replace`."
        )


def check_cached(lake: Lake, row: DatasetRow, listing: Listing) -> str:
    """Compare a dataset of which nothing has to be read with the images that are there now, by names, sizes and times.

    Returns:
        A line for the user where they are not where they were: activations need them no more. Else an empty text.

    Raises:
        ConflictError: They are there, and are others.
    """
    try:
        check_unchanged(row, listing)
    except (InputError, OSError) as error:
        place = row.location if _are_away(row, listing) else str(error).rstrip(".")
        return f"Images of {row.dataset} are not where they were ({place}): its activations stay"
    check_contents(lake, row, listing)
    return ""


def _are_away(row: DatasetRow, listing: Listing) -> bool:
    """Whether none of a dataset's images is there, if they are files: of a mount that broke off, an empty folder may remain."""
    reader = row.reader
    if not isinstance(reader, FileReader) or not len(listing):
        return False
    try:
        blocks = (listing.paths[start : start + _AT_ONCE] for start in range(0, len(listing), _AT_ONCE))
        return all(size is None for block in blocks for size in file_sizes(reader.root, block))
    except OSError:
        return False


def _relist(origin: Origin, listing: Listing) -> Listing:
    """List the files again; labels stay with their classes, and of a subset only the chosen files count."""
    now = list_again(origin)
    if origin.options.is_part:
        chosen = set(listing.paths)
        now = now.take([sample for sample, path in enumerate(now.paths) if path in chosen])
    label_of = listing.label_of_class
    return replace(now, labels=[label_of.get(name) for name in now.class_names])


def check_contents(lake: Lake, row: DatasetRow, listing: Listing) -> None:
    """Raise if images that were written since they were read have other bytes; equal ones are not looked at again.

    Raises:
        ConflictError: Some have.
    """
    check_written_since(lake, row.dataset, row.digest, row.origin, listing)


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
