"""Copying: a lake, or what is asked for of it, into another place; what is there already is left as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.errors import InputError
from featurestore.partitions import reading
from featurestore.progress import silent_bar
from featurestore.transfer.carrying import carry
from featurestore.transfer.comparison import Holding, compare, listed, refuse
from featurestore.transfer.loose_files import differing_files, loose_files, put_files, strangers
from featurestore.transfer.restriction import EVERYTHING, Restriction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from featurestore.layout.manifest import Manifest
    from featurestore.progress import Bar
    from featurestore.storage import Storage
    from featurestore.transfer.comparison import Carried


def copy(
    source: Storage,
    target: Storage,
    restriction: Restriction = EVERYTHING,
    *,
    say: Callable[[str], None],
    replacing: bool = False,
    dry_run: bool = False,
    bar: Bar | None = None,
) -> Carried:
    """Copy a lake's partitions, its own questions and its settings; begun again after a kill, it goes on.

    Args:
        source: The lake.
        target: Where to copy it: an empty place, one with a partial copy, or a lake that agrees with it; with `replacing`, any lake.
        restriction: What to copy.
        say: Is told in lines what is copied, left out, and in conflict.
        replacing: Replace what the target holds under the same keys with other content; everything else there stays.
        dry_run: Copy nothing.
        bar: Is told how many fragments there are, and gives a context with a function to call with the number just done.

    Returns:
        What came, or would come.

    Raises:
        ConflictError: The target holds something else under the same key, and that is not to be replaced; nothing is copied.
        CorruptionError: A fragment is not what its manifest says; what was copied before it stays, and is whole.
        MissingError: The restriction names what the lake does not hold.
    """
    if source.uri("") == target.uri(""):
        raise InputError(f"{target.location} is the lake itself: name another place to copy it to.")
    tables = restriction.chosen_tables
    held, there = Holding.of(source, tables), Holding.of(target, tables)
    by_table = {name: [m for m in held.partitions.values() if m.table == name] for name in tables}
    chosen, broad = restriction.of(by_table)
    found = compare(chosen, there, here=f"in {target.location}", there=f"in {source.location}", replacing=replacing)
    files, other_files = differing_files(loose_files(source, settings=True), target, replacing=replacing)
    for line in _notes(source, restriction, held, chosen, broad):
        say(line)
    others = [*found.disagreements, *other_files]
    differ = f"in {target.location} differ from those of {source.location} (listed above)"
    if replacing and others:
        say(f"{listed(others, say)} {differ} and {'would be' if dry_run else 'are'} replaced")
    else:
        remedy = "Copy to another place, remove them there, or give --replace."
        refuse(others, f"{differ}: nothing was copied. {remedy}", say)
    if not dry_run:
        with (bar or silent_bar)(found.fragments) as advance:
            for table in tables:
                carry(source, target, found.of(table), there.sizes, advance, replacing=replacing)
        put_files(files, target, replacing=replacing)
    done = "would be copied" if dry_run else "copied"
    for key in files:
        say(f"{key} {done}")
    for line in found.summary(target.location, done):
        say(line)
    return found.carried


def _notes(
    source: Storage, restriction: Restriction, held: Holding, chosen: Sequence[Manifest], broad: Sequence[Manifest]
) -> Iterator[str]:
    """What a user should know of what is left out, and of what comes along."""
    if added := restriction.added_tables:
        yield f"{', '.join(added)} come too: the others name them"
    if broad:
        tables = " and ".join(sorted({manifest.table for manifest in broad}))
        yield (
            f"{tables}: {len(broad):,} partitions are left out, which rest on more datasets than these; "
            "`featurestore score` makes those of the copy"
        )
    yield from _parted(source, held, chosen)
    if restriction == EVERYTHING and (others := strangers(source)):
        yield f"{len(others):,} other files in {source.location} are not the lake's and are left there (first: {others[0]})"


def _parted(source: Storage, held: Holding, chosen: Sequence[Manifest]) -> Iterator[str]:
    """Benchmarks with scores that come without the datasets by which they are judged."""
    scored = {manifest.key["benchmark"] for manifest in chosen if manifest.table == "scores"}
    names = {manifest.key["dataset"] for manifest in chosen if manifest.table == "datasets"}
    for manifest in held.partitions.values():
        if manifest.table != "datasets" or manifest.key["dataset"] in names:
            continue
        (row,) = reading.read(source, manifest, manifest.parts[0]).to_pylist()
        for benchmark in sorted(scored & set(row["benchmarks"])) if row["role"] in {"fit", "id"} else ():
            yield f"benchmark {benchmark} comes without its {row['role']} dataset {manifest.key['dataset']}"
