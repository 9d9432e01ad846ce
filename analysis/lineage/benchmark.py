"""Benchmarks: one fit dataset, one ID test dataset, and the OOD datasets that are judged with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analysis.lineage.benchmark_settings import read_settings, write_settings
from analysis.lineage.overlaps import left_out, overlap_lines, read_repeated
from featurestore.errors import MissingError
from featurestore.names import pick
from featurestore.partitions import reading

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from analysis.lineage.benchmark_settings import BenchmarkSettings
    from analysis.lineage.overlaps import LeftOut
    from featurestore.lake import Lake


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Datasets by role.

    Attributes:
        name: The benchmark's name.
        fit: The dataset that detectors learn from; None if there is none yet.
        id: The ID test dataset.
        oods: The OOD datasets, in order of name.
        val: The ID dataset that tunes detectors; None if there is none.
        left_out: Samples of these datasets that do not judge; none unless the benchmark is judged without overlaps.
        csids: The ID datasets under a covariate shift, in order of name; they are ID, too, where the full spectrum is judged.
    """

    name: str
    fit: str | None
    id: str
    oods: tuple[str, ...]
    val: str | None = None
    left_out: tuple[LeftOut, ...] = ()
    csids: tuple[str, ...] = ()

    @property
    def scored(self) -> tuple[str, ...]:
        """The datasets whose samples are scored, the ID test dataset first."""
        return (self.id, *self.csids, *self.oods)

    @property
    def others(self) -> tuple[str, ...]:
        """All its datasets but the ID test dataset."""
        return (*(name for name in (self.fit, self.val) if name), *self.csids, *self.oods)

    def left_out_of(self, dataset: str) -> LeftOut | None:
        """The samples of a dataset that do not judge; None if all do."""
        return next((one for one in self.left_out if one.dataset == dataset), None)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset of the lake: its name, its role, the benchmarks that it takes part in, what its samples are, and how many."""

    name: str
    role: str
    benchmarks: tuple[str, ...]
    digest: str
    samples: int = 0


def read_benchmarks(lake: Lake, name: str | None = None) -> list[Benchmark]:
    """The benchmarks of a lake that can be scored: those with an ID test dataset.

    Args:
        lake: The lake.
        name: Only the benchmark of this name.

    Raises:
        MissingError: There is none, or none of that name.
    """
    known = datasets(lake)
    found = benchmarks_in(lake, known)
    if name is not None:
        pick("benchmark", name, {benchmark for dataset in known for benchmark in dataset.benchmarks})
        found = [benchmark for benchmark in found if benchmark.name == name]
    if not found:
        raise MissingError(
            "There is no ID test dataset to score: add one with `featurestore dataset add NAME PATH --role id`."
        )
    return found


def datasets(lake: Lake) -> list[Dataset]:
    """The datasets of a lake, in order of name."""
    found = []
    for manifest in lake.partitions("datasets"):
        (row,) = reading.read(lake.storage, manifest, manifest.parts[0]).to_pylist()
        of = manifest.key["dataset"], row["role"], tuple(row["benchmarks"])
        found.append(Dataset(*of, row["digest"], row["samples"]))
    return found


def benchmarks_in(lake: Lake, known: Sequence[Dataset]) -> list[Benchmark]:
    """The benchmarks that datasets make up, judged as the lake's users set it; contents are read where that needs them.

    Args:
        lake: The lake.
        known: Its datasets.
    """
    found, without = benchmarks_of(known), _without_overlaps(lake)
    if not without & {benchmark.name for benchmark in found}:
        return found
    repeated, roles = read_repeated(lake, {dataset.name: dataset.digest for dataset in known}), roles_in(known)
    return [replace(one, left_out=left_out(repeated, roles[one.name])) if one.name in without else one for one in found]


def benchmarks_of(known: Iterable[Dataset]) -> list[Benchmark]:
    """The benchmarks that datasets make up, in order of name; those without an ID test dataset are left out."""
    return [_benchmark(name, roles) for name, roles in roles_in(known).items() if "id" in roles.values()]


def roles_in(known: Iterable[Dataset]) -> dict[str, dict[str, str]]:
    """The role of each dataset of each benchmark, in order of name."""
    roles: dict[str, dict[str, str]] = {}
    for dataset in known:
        for benchmark in dataset.benchmarks:
            roles.setdefault(benchmark, {})[dataset.name] = dataset.role
    return dict(sorted(roles.items()))


def set_benchmark(lake: Lake, name: str, settings: BenchmarkSettings) -> bool:
    """Set how a benchmark is judged; return whether it was judged otherwise before.

    Raises:
        MissingError: There is no lake, or no benchmark of that name.
    """
    lake.check_exists()
    pick("benchmark", name, roles_in(datasets(lake)))
    return write_settings(lake, name, settings)


def overlaps_said(lake: Lake, known: Sequence[Dataset], names: Collection[str] | None = None) -> list[str]:
    """Sentences on images that benchmarks hold in two roles.

    Args:
        lake: The lake.
        known: Its datasets.
        names: Only these benchmarks; all if None.
    """
    roles = {name: of for name, of in roles_in(known).items() if names is None or name in names}
    repeated = read_repeated(lake, {dataset.name: dataset.digest for dataset in known})
    return overlap_lines(repeated, roles, _without_overlaps(lake))


def _without_overlaps(lake: Lake) -> set[str]:
    return {name for name, settings in read_settings(lake).items() if settings.without_overlaps}


def _benchmark(name: str, roles: Mapping[str, str]) -> Benchmark:
    datasets_of: dict[str, list[str]] = {}
    for dataset, role in roles.items():
        datasets_of.setdefault(role, []).append(dataset)
    fit = datasets_of.get("fit", [None])[0]
    val = datasets_of.get("val", [None])[0]
    oods, csids = (tuple(sorted(datasets_of.get(role, []))) for role in ("ood", "csid"))
    return Benchmark(name, fit, datasets_of["id"][0], oods, val, csids=csids)
