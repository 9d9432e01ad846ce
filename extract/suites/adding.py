"""Adding a suite to a lake: every set that is there, and a list of those that are not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from extract.datasets import add_dataset, dataset_names, read_dataset
from extract.suites.registry import named_suite
from extract.suites.suite import TUNES
from featurestore.errors import ConflictError, InputError
from featurestore.names import check_slug

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extract.datasets import DatasetRow
    from extract.suites.suite import Suite, SuiteSet
    from featurestore.lake import Lake


@dataclass(frozen=True, slots=True)
class SuiteSummary:
    """What became of a suite's sets.

    Attributes:
        added: Datasets that the benchmark has now and had not before.
        kept: Datasets that it had already.
        missing: Sets that could not be added, each with the reason.
        remark: What the suite comes without and the benchmark lacks; empty if nothing.
    """

    added: tuple[str, ...]
    kept: tuple[str, ...]
    missing: Mapping[str, str]
    remark: str = ""


def add_suite(
    lake: Lake,
    benchmark: str,
    suite: str,
    root: Path | str,
    *,
    replacing: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> SuiteSummary:
    """Add all sets of a suite that are there to a benchmark; run again, it adds what was missing.

    A set keeps its name, but where the lake holds another dataset under it: then it is `BENCHMARK-NAME`. A set that is in
    the lake already, as part of another suite, joins this benchmark, too. OOD sets that tune detectors go into the benchmark
    `BENCHMARK-val`, so that they do not judge.

    Args:
        lake: Where to write.
        benchmark: The benchmark's name.
        suite: Name of the suite.
        root: The folder that it was downloaded to.
        replacing: Whether other datasets of these names may be swapped.
        say: Is told each set, in a line.

    Raises:
        MissingError: There is no such suite.
        InputError: The folder does not hold it, or no set of it can be added.
    """
    check_slug("benchmark", benchmark)
    found = named_suite(suite)
    folder = _folder(found, Path(root))
    added: list[str] = []
    kept: list[str] = []
    missing: dict[str, str] = {}
    for each in found.sets:
        target = f"{benchmark}-{TUNES}" if each.group == TUNES else benchmark
        before = _members(lake, target)
        try:
            row = _add(lake, each, folder, target, replacing=replacing, say=say)
        except (InputError, ConflictError) as error:
            missing[each.name] = str(error)
            continue
        (kept if row.dataset in before else added).append(row.dataset)
        say(f"{row.dataset}: {row.size}, role {each.described}, in {target}")
    if not added and not kept:
        raise InputError(f"No set of {suite} could be added. {next(iter(missing.values()))}")
    roles = {read_dataset(lake, name).role for name in _members(lake, benchmark)}
    return SuiteSummary(tuple(added), tuple(kept), missing, "" if {"fit", "id"} <= roles else found.remark)


def _folder(suite: Suite, root: Path) -> Path:
    """The folder that holds the suite: the one that was said, or one that its download makes in it."""
    for folder in (root, *(root / name for name in suite.below)):
        if (folder / suite.marker).exists():
            return folder
    places = " or ".join(str(root / name / suite.marker) for name in ("", *suite.below))
    raise InputError(f"{root} does not hold {suite.name}: there is no {places}.")


def _members(lake: Lake, benchmark: str) -> set[str]:
    return {name for name in dataset_names(lake) if benchmark in read_dataset(lake, name).benchmarks}


def _add(
    lake: Lake, each: SuiteSet, folder: Path, benchmark: str, *, replacing: bool, say: Callable[[str], None]
) -> DatasetRow:
    """Add a set under its name; under a longer one, where a dataset of another benchmark has it."""
    origin = each.origin(folder)

    def under(name: str) -> DatasetRow:
        return add_dataset(
            lake,
            name,
            origin.location,
            role=each.role,
            benchmark=benchmark,
            group=each.group,
            format_=origin.format,
            options=origin.options,
            replacing=replacing,
            say=say,
        )

    try:
        return under(each.name)
    except ConflictError:
        if each.name in _members(lake, benchmark):
            raise
        name = f"{benchmark}-{each.name}"
        row = under(name)
        say(f"{each.name} is {name} here, since the lake holds another dataset under that name")
        return row
