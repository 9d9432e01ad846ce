"""Joining datasets and benchmarks: what two lakes say of them together, and where they cannot both be right."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from featurestore.transfer.comparison import Disagreement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from featurestore.layout.fingerprint import Ingredient

_ALONE = ("fit", "id", "val")
_SAME = ("digest", "role", "samples", "classes")
_SAID = ("ood_group", "seen_classes")
"""What a lake may say of a dataset, or not."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a lake says of a dataset.

    Attributes:
        digest: Of its samples.
        role: Its role.
        samples: How many there are.
        classes: How many classes.
        benchmarks: Those that it takes part in.
        ood_group: The group of an OOD dataset.
        location: Where its images lie.
        seen_classes: Which of its classes the data of a pretraining are said to hold.
    """

    digest: str
    role: str
    samples: int
    classes: int
    benchmarks: tuple[str, ...]
    ood_group: str | None
    location: str
    seen_classes: str | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """The datasets of two lakes, joined.

    Attributes:
        changes: New values for rows of the first lake that say less than both lakes do together, by dataset and column.
        notes: What a user should know, in lines.
        disagreements: Why the two cannot be joined.
    """

    changes: Mapping[str, Mapping[str, Ingredient]]
    notes: tuple[str, ...]
    disagreements: tuple[Disagreement, ...]


def join(ours: Mapping[str, Described], theirs: Mapping[str, Described], *, here: str, there: str) -> Joined:
    """Join the datasets of a lake with those of another one.

    A dataset that both have takes part in the benchmarks of both, and its images stay where the first lake has them. A
    benchmark has one fit, one ID and one validation dataset.

    Args:
        ours: What the first lake says, by name.
        theirs: What the other one says.
        here: What messages call the first.
        there: What messages call the other.
    """
    changes: dict[str, Mapping[str, Ingredient]] = {}
    notes: list[str] = []
    disagreements: list[Disagreement] = []
    for name in sorted(ours.keys() & theirs.keys()):
        our, their = ours[name], theirs[name]
        differing = [*_differing(our, their, here, there)]
        if differing:
            disagreements.append(Disagreement(f"datasets (dataset {name})", "; ".join(differing), "dataset", name))
            continue
        more = sorted({*their.benchmarks} - {*our.benchmarks})
        said: dict[str, Ingredient] = {"benchmarks": [*sorted({*our.benchmarks, *more})]} if more else {}
        said |= {
            column: getattr(their, column)
            for column in _SAID
            if getattr(our, column) is None and getattr(their, column) is not None
        }
        if said:
            changes[name] = said
        notes += [f"dataset {name} takes part in benchmark {benchmark} too" for benchmark in more]
        if "ood_group" in said:
            notes.append(f"dataset {name} is of the group {their.ood_group}, as {there} says")
        if "seen_classes" in said:
            notes.append(f"dataset {name} has classes that a pretraining has seen, as {there} says")
        if our.location != their.location:
            notes.append(f"dataset {name}: its images stay at {our.location} ({there}: {their.location})")
    for found in (*_members(ours, theirs, here, there), *_twice(ours, theirs)):
        if isinstance(found, Disagreement):
            disagreements.append(found)
        else:
            notes.append(found)
    return Joined(changes, tuple(notes), tuple(disagreements))


def strangers_to_each_other(
    ours: Mapping[str, Described], theirs: Mapping[str, Described]
) -> Iterator[tuple[str, str, str]]:
    """Pairs of datasets that meet in a benchmark only when two lakes are merged, as (benchmark, ours, theirs)."""
    for benchmark in sorted(benchmarks_of(ours) & benchmarks_of(theirs)):
        our, their = ({name for name, row in rows.items() if benchmark in row.benchmarks} for rows in (ours, theirs))
        yield from ((benchmark, one, other) for one, other in product(sorted(our - their), sorted(their - our)))


def label_problem(ours: Mapping[str, int | None], theirs: Mapping[str, int | None]) -> str:
    """How the labels of classes of two datasets contradict each other, in words; or an empty text."""
    for name in sorted(ours.keys() & theirs.keys()):
        if ours[name] != theirs[name]:
            return f"class {name!r} has label {ours[name]} in the one, and {theirs[name]} in the other"
    if ours and theirs and not {*ours.values()} & {*theirs.values()}:
        return "they have no label in common"
    return ""


def _differing(our: Described, their: Described, here: str, there: str) -> Iterator[str]:
    for name in _SAME:
        if getattr(our, name) != getattr(their, name):
            yield f"{name} ({here}: {_short(getattr(our, name))}, {there}: {_short(getattr(their, name))})"
    for name in _SAID:
        our_word, their_word = getattr(our, name), getattr(their, name)
        if our_word and their_word and our_word != their_word:
            yield f"{name} ({here}: {our_word}, {there}: {their_word})"


def _members(
    ours: Mapping[str, Described], theirs: Mapping[str, Described], here: str, there: str
) -> Iterator[Disagreement | str]:
    """Whether the benchmarks that both have are judged by the same datasets."""
    of_role: dict[tuple[str, str], list[list[str]]] = defaultdict(lambda: [[], []])
    for lake, rows in enumerate((ours, theirs)):
        for name, row in sorted(rows.items()):
            for benchmark in row.benchmarks if row.role in _ALONE else ():
                of_role[benchmark, row.role][lake].append(name)
    both = benchmarks_of(ours) & benchmarks_of(theirs)
    for (benchmark, role), (our, their) in sorted(of_role.items()):
        if our and their and our != their:
            how = f"{here}: {', '.join(our)}; {there}: {', '.join(their)}"
            yield Disagreement(f"benchmark {benchmark} has two {role} datasets", how, "benchmark", benchmark)
        elif benchmark in both and not (our and their):
            name, where = (our[0], there) if our else (their[0], here)
            yield (
                f"benchmark {benchmark} had no {role} dataset {where}, and has {name} now: "
                "what was scored without it is made again by `featurestore score`"
            )


def _twice(ours: Mapping[str, Described], theirs: Mapping[str, Described]) -> Iterator[Disagreement]:
    """Datasets of the same samples that a benchmark would bring together in two roles or groups, as it is in neither lake."""
    for benchmark, one, other in strangers_to_each_other(ours, theirs):
        places = [" ".join(filter(None, (row.role, row.ood_group))) for row in (ours[one], theirs[other])]
        if ours[one].digest == theirs[other].digest and len(set(places)) > 1:
            what = f"benchmark {benchmark}, datasets {one} and {other}"
            how = f"the same samples are {places[0]} in the one, and {places[1]} in the other"
            yield Disagreement(what, how, "benchmark", benchmark)


def benchmarks_of(rows: Mapping[str, Described]) -> set[str]:
    """The benchmarks that datasets take part in."""
    return {benchmark for row in rows.values() for benchmark in row.benchmarks}


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 else text
