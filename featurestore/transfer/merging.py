"""Merging: all that another lake holds, into one that agrees with it; or nothing at all."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from featurestore.errors import InputError
from featurestore.layout.judged_scores import ingredient_name, judged_dataset, scores_digest
from featurestore.layout.tables import ORDER, TABLES
from featurestore.partitions import reading, writing
from featurestore.progress import silent_bar
from featurestore.transfer.carrying import Load, carry
from featurestore.transfer.comparison import Holding, refuse
from featurestore.transfer.loose_files import put_files
from featurestore.transfer.meeting import meet
from featurestore.transfer.other_names import set_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from featurestore.layout.fingerprint import Ingredient
    from featurestore.layout.manifest import Manifest
    from featurestore.progress import Bar
    from featurestore.storage import Storage
    from featurestore.transfer.comparison import Carried, Comparison
    from featurestore.transfer.meeting import Meeting
    from featurestore.transfer.other_names import Aside

_TABLE = TABLES["datasets"]


def merge(
    source: Storage,
    target: Storage,
    *,
    say: Callable[[str], None],
    aside: Aside | None = None,
    dry_run: bool = False,
    bar: Bar | None = None,
) -> Carried:
    """Take all partitions and questions of another lake into a lake; begun again after a kill, it goes on.

    Equal fingerprints are one. Parts of one partition, such as the scores of several detectors, come together. A dataset that
    both have takes part in the benchmarks of both. Metrics follow from scores: those of the lake stay, and become stale where
    scores come.

    Args:
        source: The other lake.
        target: The lake.
        say: Is told in lines what comes, what changes, and where the two disagree.
        aside: Other names for what disagrees, which is then taken as if it had been made under them; None refuses it.
        dry_run: Change nothing.
        bar: Is told how many fragments there are, and gives a context with a function to call with the number just done.

    Returns:
        What came, or would come.

    Raises:
        ConflictError: The two disagree, or hold something else under the other name; nothing is changed.
        InputError: The other name can be none; or the two are one lake.
        CorruptionError: A fragment is not what its manifest says; what came before it stays, and is whole.
    """
    if source.uri("") == target.uri(""):
        raise InputError(f"{source.location} is the lake itself: name another one to merge into it.")
    ours = Holding.of(target, ORDER)
    lay = partial(meet, ours=ours, here=f"in {target.location}", there=f"in {source.location}")
    meeting = set_aside(source, aside, lay, say) if aside else lay(source)
    remedy = (
        f"Give another suffix than {aside.suffix}."
        if aside
        else "Rename or remove them in one of the two, or give --as SUFFIX."
    )
    disagree = f"in {source.location} disagree with {target.location} (listed above)"
    refuse(meeting.disagreements, f"{disagree}: nothing was merged. {remedy}", say)
    if not dry_run:
        with (bar or silent_bar)(meeting.found.fragments) as advance:
            for table in ORDER:
                _carry_table(meeting, target, ours, table, advance)
        put_files(meeting.files, target)
    done = "would be merged" if dry_run else "merged"
    for line in (
        *meeting.joined.notes,
        *(f"{key} {done}" for key in meeting.files),
        *_stale_metrics(ours, meeting.theirs, meeting.found),
        *meeting.found.summary(target.location, done),
    ):
        say(line)
    return meeting.found.carried


def _carry_table(meeting: Meeting, target: Storage, ours: Holding, table: str, advance: Callable[[int], None]) -> None:
    """Carry what comes of one table, and change the rows of datasets that both lakes have."""
    loads = meeting.found.of(table)
    if table == "contents":
        loads = [_looked_at_nowhere(load) if load.manifest.key["dataset"] in meeting.moved else load for load in loads]
    carry(meeting.source, target, loads, ours.sizes, advance)
    if table == _TABLE.name:
        for name, columns in meeting.joined.changes.items():
            _rewrite(target, ours.partitions[f"datasets/dataset={name}"], columns)


def _looked_at_nowhere(load: Load) -> Load:
    """Digests of images that were read elsewhere: nobody has looked at those that the lake has."""
    parts = [replace(part, details={**part.details, "looked_at": 0}) for part in load.parts]
    return replace(load, parts=tuple(parts))


def _rewrite(target: Storage, manifest: Manifest, changed: Mapping[str, Ingredient]) -> None:
    """Change what the row of a dataset says."""
    (part,) = manifest.parts
    (row,) = reading.read(target, manifest, part).to_pylist()
    wanted = writing.Target(_TABLE, manifest.key, {**part.ingredients, **changed}, {})
    rows = pa.Table.from_pylist([{**row, **changed}], _TABLE.columns)
    writing.write_part(target, wanted, rows, replacing=True, details=part.details)


def _stale_metrics(ours: Holding, theirs: Holding, found: Comparison) -> Iterator[str]:
    """How many of the metrics that there are then rest on other scores than there are then."""
    touched = {load.manifest.folder for load in (*found.of("scores"), *found.of("metrics"))}
    touched |= {m.folder for m in theirs.partitions.values() if m.table == "metrics"}
    pairs = {tuple(folder.split("/")[1:3]) for folder in touched}
    scores: dict[tuple[str, ...], dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for manifest in (m for holding in (theirs, ours) for m in holding.partitions.values() if m.table == "scores"):
        of = scores[tuple(manifest.folder.split("/")[1:3])][manifest.key["dataset"]]
        of.update({part.key["detector"]: part.fingerprint for part in manifest.parts})
    count = 0
    for pair in pairs:
        folder = "/".join(("metrics", *pair))
        metrics = ours.partitions.get(folder) or theirs.partitions.get(folder)
        now = {ingredient_name(dataset): scores_digest(of) for dataset, of in scores[pair].items()}
        judged = metrics.parts[0].ingredients if metrics else now
        count += now != {name: value for name, value in judged.items() if judged_dataset(name)}
    if count:
        yield f"metrics of {count:,} models do not rest on all scores that there are now: `featurestore score` makes them again"
