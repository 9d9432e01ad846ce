"""Meeting: what one lake would bring to another one, and why the two may not be merged."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from featurestore.layout.fingerprint import differences
from featurestore.layout.judged_scores import JUDGING
from featurestore.layout.recorded_network import shared_ingredients
from featurestore.layout.tables import ORDER
from featurestore.names import base_model
from featurestore.partitions import reading
from featurestore.transfer.comparison import Disagreement, Holding, compare
from featurestore.transfer.joining import Described, benchmarks_of, join, label_problem, strangers_to_each_other
from featurestore.transfer.loose_files import differing_files, loose_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from featurestore.layout.manifest import Manifest
    from featurestore.storage import Storage
    from featurestore.transfer.comparison import Comparison
    from featurestore.transfer.joining import Joined


@dataclass(frozen=True, slots=True)
class Meeting:
    """A lake that is to be merged, beside the one that takes it.

    Attributes:
        source: The lake that is to be merged.
        theirs: What it holds.
        joined: The datasets of both lakes.
        found: The parts that are to be carried over, and those that both lakes have.
        files: The questions that are to be carried over.
        moved: Datasets of both lakes whose images lie in two places.
        disagreements: Where the two cannot both be right; causes stand before what follows from them.
    """

    source: Storage
    theirs: Holding
    joined: Joined
    found: Comparison
    files: dict[str, bytes]
    moved: frozenset[str]
    disagreements: tuple[Disagreement, ...]


def meet(source: Storage, ours: Holding, *, here: str, there: str) -> Meeting:
    """Compare a lake with the one that it is to be merged into.

    Args:
        source: The lake that is to be merged.
        ours: What the lake that takes it holds.
        here: What messages call the lake that takes it.
        there: What messages call the lake that is to be merged.
    """
    theirs = Holding.of(source, ORDER)
    rows = _described(ours), _described(theirs)
    joined = join(*rows, here=here, there=there)
    found = compare([*_to_compare(theirs, ours)], ours, here=here, there=there)
    files, other_files = differing_files(loose_files(source, settings=False), ours.storage)
    disagreements = (
        *joined.disagreements,
        *_other_settings(ours, theirs, *rows, here=here, there=there),
        *_contrary_labels(ours, theirs, *rows),
        *found.disagreements,
        *_other_networks(ours, found, here, there),
        *other_files,
    )
    both = rows[0].keys() & rows[1].keys()
    moved = frozenset(name for name in both if rows[0][name].location != rows[1][name].location)
    return Meeting(source, theirs, joined, found, files, moved, disagreements)


def _to_compare(theirs: Holding, ours: Holding) -> Iterator[Manifest]:
    """Their partitions, but for those that are joined in other ways where both lakes have them: datasets, and what judges scores."""
    for folder, manifest in theirs.partitions.items():
        if manifest.table not in {"datasets", *JUDGING} or not _both_differ(folder, theirs, ours):
            yield manifest


def _described(holding: Holding) -> dict[str, Described]:
    """What a lake says of its datasets, by name."""
    found = {}
    for manifest in holding.partitions.values():
        if manifest.table == "datasets":
            (row,) = reading.read(holding.storage, manifest, manifest.parts[0]).to_pylist()
            values = {field.name: row.get(field.name) for field in fields(Described)}  # older rows lack the last
            found[manifest.key["dataset"]] = Described(**{**values, "benchmarks": tuple(row["benchmarks"])})
    return found


def _both_differ(folder: str, theirs: Holding, ours: Holding) -> bool:
    """Whether both lakes have a partition, made from other ingredients."""
    return folder in ours.partitions and [part.fingerprint for part in theirs.partitions[folder].parts] != [
        part.fingerprint for part in ours.partitions[folder].parts
    ]


def _other_settings(
    ours: Holding,
    theirs: Holding,
    our_rows: Mapping[str, Described],
    their_rows: Mapping[str, Described],
    *,
    here: str,
    there: str,
) -> Iterator[Disagreement]:
    """Benchmarks that both have, of which just one lake says how they are judged: the other means the default."""
    for benchmark in sorted(benchmarks_of(our_rows) & benchmarks_of(their_rows)):
        held = [holding.partitions.get(f"benchmarks/benchmark={benchmark}") for holding in (ours, theirs)]
        said = [{n: v for n, v in each.parts[0].ingredients.items() if v} if each else {} for each in held]
        how = differences(*said, here=here, there=there)
        if how and None in held:
            yield Disagreement(f"benchmarks (benchmark {benchmark})", "; ".join(how), "benchmark", benchmark)


def _contrary_labels(
    ours: Holding, theirs: Holding, our_rows: Mapping[str, Described], their_rows: Mapping[str, Described]
) -> Iterator[Disagreement]:
    """Labelled datasets that one benchmark brings together, and that mean different things by a class."""
    for benchmark, one, other in strangers_to_each_other(our_rows, their_rows):
        if "ood" in {our_rows[one].role, their_rows[other].role}:
            continue
        problem = label_problem(_labels(ours, one), _labels(theirs, other))
        if problem:
            yield Disagreement(f"benchmark {benchmark}, datasets {one} and {other}", problem, "benchmark", benchmark)


def _labels(holding: Holding, dataset: str) -> dict[str, int | None]:
    """The label of each class of a dataset; none where its samples are not there."""
    manifest = holding.partitions.get(f"samples/dataset={dataset}")
    if manifest is None:
        return {}
    rows = reading.read(holding.storage, manifest, manifest.parts[0]).select(["class_name", "label"])
    return {row["class_name"]: row["label"] for row in rows.group_by(["class_name", "label"]).aggregate([]).to_pylist()}


def _other_networks(ours: Holding, found: Comparison, here: str, there: str) -> Iterator[Disagreement]:
    """Models of which activations on one dataset would stand beside those that another network made of another one."""
    held = {m.key["model"]: m for m in ours.partitions.values() if m.table == "activations"}
    seen = set()
    for load in found.of("activations"):
        model = load.manifest.key["model"]
        if model not in held or model in seen:
            continue
        seen.add(model)
        ours_and_theirs = (shared_ingredients(one.parts[0]) for one in (held[model], load.manifest))
        how = differences(*ours_and_theirs, here=here, there=there)
        if how:
            what = f"activations of {model} on {held[model].key['dataset']} and on {load.manifest.key['dataset']}"
            yield Disagreement(what, "; ".join(how), "model", base_model(model))
