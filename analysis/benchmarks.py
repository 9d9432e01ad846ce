"""Benchmarks: one fit dataset, one ID test dataset, and the OOD datasets that are judged with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from featurestore.errors import MissingError
from featurestore.names import pick

if TYPE_CHECKING:
    from featurestore.lake import Lake


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Datasets by role.

    Attributes:
        name: The benchmark's name.
        fit: The dataset that detectors learn from; None if there is none yet.
        id: The ID test dataset.
        oods: The OOD datasets, in order of name.
    """

    name: str
    fit: str | None
    id: str
    oods: tuple[str, ...]


def benchmarks(lake: Lake, name: str | None = None) -> list[Benchmark]:
    """The benchmarks of a lake that can be scored: those with an ID test dataset.

    Args:
        lake: The lake.
        name: Only the benchmark of this name.

    Raises:
        MissingError: There is none, or none of that name.
    """
    roles: dict[str, dict[str, list[str]]] = {}
    for manifest in lake.partitions("datasets"):
        (row,) = lake.read("datasets", **manifest.key).to_pylist()
        for benchmark in row["benchmarks"]:
            roles.setdefault(benchmark, {}).setdefault(row["role"], []).append(manifest.key["dataset"])
    if name is not None:
        roles = {pick("benchmark", name, roles): roles.get(name, {})}
    found = [_benchmark(benchmark, of) for benchmark, of in sorted(roles.items()) if "id" in of]
    if not found:
        raise MissingError(
            "There is no ID test dataset to score: add one with `featurestore dataset add NAME PATH --role id`."
        )
    return found


def _benchmark(name: str, datasets_of: dict[str, list[str]]) -> Benchmark:
    fit = datasets_of.get("fit", [None])[0]
    return Benchmark(name, fit, datasets_of["id"][0], tuple(sorted(datasets_of.get("ood", []))))
