"""Whether what parts name is there: datasets, models, activations, members. From manifests alone."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from featurestore.layout.fingerprint import fingerprint
from featurestore.layout.judged_scores import JUDGING
from featurestore.layout.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from featurestore.layout.manifest import Manifest

_ALONE = ("id", "fit")
"""Roles that one dataset of a benchmark has at most."""
_OF_ACTIVATIONS = ("fits", "scores", "accuracy", "calibration", "geometry")
"""Tables of which each partition is made of the activations of its model on its dataset."""


class Dangling(NamedTuple):
    """What names something that is not there: its name, where it lies in the lake, and what is wrong."""

    partition: str
    path: str
    problem: str


def dangling(manifests: Sequence[Manifest], *, unread: bool = False) -> Iterator[Dangling]:
    """What parts name that the lake does not hold, and benchmarks that no job could judge.

    A lake that holds nothing at all of a table was made without it, as a copy without activations is: that is no fault.

    Args:
        manifests: The lake's partitions.
        unread: Whether there are others that cannot be read: then nothing is known to be gone.
    """
    if unread:
        return
    held = {(manifest.table, *manifest.key.values()): manifest for manifest in manifests}
    tables = {manifest.table for manifest in manifests}
    for manifest in manifests:
        for problem in _problems(held, tables, manifest):
            yield Dangling(manifest.title, manifest.path, problem)
    yield from _benchmarks(manifests)


def _problems(held: Mapping[tuple[str, ...], Manifest], tables: Collection[str], manifest: Manifest) -> Iterator[str]:
    table, key = manifest.table, manifest.key
    model, dataset = key.get("model"), key.get("dataset")
    described = ("datasets", str(dataset)) in held
    # Samples and contents that a removal left are nobody's, and harmless.
    if model is not None and dataset is not None and not described and "datasets" in tables:
        yield f"the lake has no dataset {dataset}: add it again, or `featurestore dataset remove {dataset}`"
    elif table == "datasets" and "samples" in tables and ("samples", str(dataset)) not in held:
        yield f"the samples of {dataset} are gone: run `featurestore dataset add {dataset} … --replace`"
    elif table == "activations" and described and (now := _other_samples(held[("datasets", str(dataset))], manifest)):
        yield now
    if model is None or table == "models":
        return
    row = held.get(("models", model))
    members = row.parts[0].ingredients.get("ensemble_of") if row else None
    if row is None and "models" in tables:
        yield f"the lake has no row of the model {model}: extract it again, or `featurestore model remove {model}`"
    if isinstance(members, list):
        yield from _members(held, manifest, [str(member) for member in members])
    elif "activations" not in tables:
        return
    elif table in _OF_ACTIVATIONS and ("activations", model, str(dataset)) not in held:
        yield f"the activations of {model} on {dataset}, which it is made from, are gone: nothing can be told of its age"
    elif table in JUDGING and (judged := _judged(manifest)) and ("activations", model, judged) not in held:
        yield f"the activations of {model} on {judged}, which they are judged by, are gone: nothing can be told of their age"


def _other_samples(dataset: Manifest, activations: Manifest) -> str:
    now = dataset.parts[0].ingredients.get("digest")
    stored = activations.parts[0].ingredients.get("dataset_digest")
    if not isinstance(now, str) or stored is None or stored == now:
        return ""
    part = activations.parts[0]
    if part.fingerprint != fingerprint("activations", activations.key, part.ingredients):
        # Its ingredients were altered, which is told as such.
        return ""
    name = dataset.key["dataset"]
    return f"it is of other samples than {name} has now: run `featurestore extract --replace --dataset {name}`"


def _judged(judging: Manifest) -> str:
    name = judging.parts[0].ingredients.get("id_dataset")
    return name if isinstance(name, str) else ""


def _members(held: Mapping[tuple[str, ...], Manifest], manifest: Manifest, members: Sequence[str]) -> Iterator[str]:
    """What an ensemble's scores lack of those that they combine."""
    if manifest.table != "scores":
        return
    for member in members:
        model, _, detector = member.partition("/")
        scores = held.get(("scores", manifest.key["benchmark"], model, manifest.key["dataset"]))
        if scores is None or scores.part({"detector": detector}) is None:
            yield f"the scores of {member}, which it combines, are gone"


def _benchmarks(manifests: Sequence[Manifest]) -> Iterator[Dangling]:
    """Benchmarks that have two datasets of a role that one has alone."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for manifest in manifests:
        ingredients = manifest.parts[0].ingredients
        benchmarks, role = ingredients.get("benchmarks"), ingredients.get("role")
        if manifest.table == "datasets" and role in _ALONE and isinstance(benchmarks, list):
            for benchmark in benchmarks:
                found[str(benchmark), str(role)].append(manifest.key["dataset"])
    for (benchmark, role), names in sorted(found.items()):
        if len(names) > 1:
            problem = f"it has {len(names)} {role} datasets, {', '.join(names)}: remove one, or give it another benchmark or role"
            yield Dangling(f"benchmark {benchmark}", TABLES["datasets"].name, problem)
