"""Merging: all that another lake holds, into one that agrees with it; or nothing at all."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from featurestore.errors import InputError
from featurestore.layout.fingerprint import differences
from featurestore.layout.judged_scores import ingredient_name, judged_dataset, scores_digest
from featurestore.layout.tables import ORDER, TABLES
from featurestore.partitions import reading, writing
from featurestore.progress import silent_bar
from featurestore.transfer.carrying import Load, carry
from featurestore.transfer.comparison import Disagreement, Holding, compare, refuse
from featurestore.transfer.joining import Described, benchmarks_of, join, label_problem, strangers_to_each_other
from featurestore.transfer.loose_files import differing_files, loose_files, put_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from featurestore.layout.fingerprint import Ingredients
    from featurestore.layout.manifest import Manifest
    from featurestore.progress import Bar
    from featurestore.storage import Storage
    from featurestore.transfer.comparison import Comparison

_TABLE = TABLES["datasets"]
# What may differ between activations of one network: the images, how they are cut into fragments, and how numbers are stored.
_OF_THE_DATASET = {"dataset_digest", "fragment_rows", "dtype", "logits"}


def merge(
    source: Storage,
    target: Storage,
    *,
    say: Callable[[str], None],
    dry_run: bool = False,
    bar: Bar | None = None,
) -> None:
    """Take all partitions and questions of another lake into a lake; begun again after a kill, it goes on.

    Equal fingerprints are one. Parts of one partition, such as the scores of several detectors, come together. A dataset that
    both have takes part in the benchmarks of both. Metrics follow from scores: those of the lake stay, and become stale where
    scores come.

    Args:
        source: The other lake.
        target: The lake.
        say: Is told in lines what comes, what changes, and where the two disagree.
        dry_run: Change nothing.
        bar: Is told how many fragments there are, and gives a context with a function to call with the number just done.

    Raises:
        ConflictError: The two disagree; nothing is changed.
        CorruptionError: A fragment is not what its manifest says; what came before it stays, and is whole.
    """
    if source.uri("") == target.uri(""):
        raise InputError(f"{source.location} is the lake itself: name another one to merge into it.")
    theirs, ours = Holding.of(source, ORDER), Holding.of(target, ORDER)
    here, there = f"in {target.location}", f"in {source.location}"
    described = _described(ours), _described(theirs)
    joined = join(*described, here=here, there=there)
    found = compare([*_to_compare(theirs, ours)], ours, here=here, there=there)
    files, other_files = differing_files(loose_files(source, settings=False), target)
    refuse(
        [
            *joined.disagreements,
            *_other_settings(ours, theirs, *described, here=here, there=there),
            *_contrary_labels(ours, theirs, *described),
            *found.disagreements,
            *_other_networks(ours, found, here, there),
            *other_files,
        ],
        f"{{count}} in {source.location} disagree with {target.location} (listed above): nothing was merged. "
        "Rename or remove them in one of the two.",
        say,
    )
    if not dry_run:
        moved = {name for name in described[0].keys() & described[1].keys() if _is_moved(name, *described)}
        with (bar or silent_bar)(found.fragments) as advance:
            for table in ORDER:
                loads = [_looked_at_nowhere(load) if _dataset(load) in moved else load for load in found.of(table)]
                carry(source, target, loads, ours.sizes, advance)
                if table == _TABLE.name:
                    for name, (benchmarks, group) in joined.changes.items():
                        _rewrite(target, ours.partitions[f"datasets/dataset={name}"], benchmarks, group)
        put_files(files, target)
    done = "would be merged" if dry_run else "merged"
    for line in (*joined.notes, *(f"{key} {done}" for key in files), *_stale_metrics(ours, theirs, found)):
        say(line)
    for line in found.summary(target.location, done):
        say(line)


def _to_compare(theirs: Holding, ours: Holding) -> Iterator[Manifest]:
    """Their partitions, but for those that are joined in other ways where both lakes have them: datasets, metrics."""
    for folder, manifest in theirs.partitions.items():
        if manifest.table not in {"datasets", "metrics"} or not _both_differ(folder, theirs, ours):
            yield manifest


def _described(holding: Holding) -> dict[str, Described]:
    """What a lake says of its datasets, by name."""
    found = {}
    for manifest in holding.partitions.values():
        if manifest.table == _TABLE.name:
            (row,) = reading.read(holding.storage, manifest, manifest.parts[0]).to_pylist()
            values = {field.name: row.get(field.name) for field in fields(Described)}  # older rows lack the last
            found[manifest.key["dataset"]] = Described(**{**values, "benchmarks": tuple(row["benchmarks"])})
    return found


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
            yield Disagreement(f"benchmarks (benchmark {benchmark})", "; ".join(how))


def _contrary_labels(
    ours: Holding, theirs: Holding, our_rows: Mapping[str, Described], their_rows: Mapping[str, Described]
) -> Iterator[Disagreement]:
    """Datasets that one benchmark brings together, and that mean different things by a class."""
    for benchmark, one, other in strangers_to_each_other(our_rows, their_rows):
        problem = label_problem(_labels(ours, one), _labels(theirs, other))
        if problem:
            yield Disagreement(f"benchmark {benchmark}, datasets {one} and {other}", problem)


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
        how = differences(*map(_network, (held[model], load.manifest)), here=here, there=there)
        if how:
            what = f"activations of {model} on {held[model].key['dataset']} and on {load.manifest.key['dataset']}"
            yield Disagreement(what, "; ".join(how))


def _network(activations: Manifest) -> Ingredients:
    return {n: value for n, value in activations.parts[0].ingredients.items() if n not in _OF_THE_DATASET}


def _dataset(load: Load) -> str:
    return load.manifest.key.get("dataset", "")


def _is_moved(name: str, ours: Mapping[str, Described], theirs: Mapping[str, Described]) -> bool:
    return ours[name].location != theirs[name].location


def _looked_at_nowhere(load: Load) -> Load:
    """Digests of images that were read elsewhere: nobody has looked at those that the lake has."""
    if load.manifest.table != "contents":
        return load
    parts = [replace(part, details={**part.details, "looked_at": 0}) for part in load.parts]
    return replace(load, parts=tuple(parts))


def _rewrite(target: Storage, manifest: Manifest, benchmarks: Sequence[str], group: str | None) -> None:
    """Change what the row of a dataset says of benchmarks and group."""
    (part,) = manifest.parts
    (row,) = reading.read(target, manifest, part).to_pylist()
    changed: dict[str, Any] = {"benchmarks": list(benchmarks), "ood_group": group}
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


def _both_differ(folder: str, theirs: Holding, ours: Holding) -> bool:
    """Whether both lakes have a partition, made from other ingredients."""
    return folder in ours.partitions and [part.fingerprint for part in theirs.partitions[folder].parts] != [
        part.fingerprint for part in ours.partitions[folder].parts
    ]
