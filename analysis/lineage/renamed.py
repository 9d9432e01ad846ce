"""What scores name and nobody stores: what detectors learned, as it is called before and after a dataset or model is renamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.detectors import registry
from analysis.lineage.benchmark import Dataset, benchmarks_of
from analysis.lineage.extracted import extracted_of
from analysis.lineage.ingredients import detector_ingredients

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from analysis.lineage.benchmark import Benchmark
    from featurestore.layout.fingerprint import Ingredients
    from featurestore.layout.manifest import Manifest, Part


def learned_anew(pairs: Sequence[tuple[Manifest, Manifest]], scored: Collection[str]) -> dict[str, str]:
    """Fingerprints of what detectors learned, with what they become.

    Args:
        pairs: The partitions of datasets and activations, before and after.
        scored: Names of the detectors that there are scores of.
    """
    before, after = ([pair[side] for pair in pairs] for side in (0, 1))
    old_benchmarks, old = _benchmarks(before), _activations(before)
    new_benchmarks, new = _benchmarks(after), _activations(after)
    models = {was.key["model"]: will.key["model"] for was, will in pairs if was.table == "activations"}
    found: dict[str, str] = {}
    for name in old_benchmarks.keys() & new_benchmarks.keys():
        for was, will in models.items():
            for detector in registry.known_by(scored).values():
                learned = detector_ingredients(old_benchmarks[name], was, detector, old[was])["fits"]
                anew = detector_ingredients(new_benchmarks[name], will, detector, new[will])["fits"]
                if isinstance(learned, list) and isinstance(anew, list):
                    found |= {str(one): str(other) for one, other in zip(learned, anew, strict=True)}
    return found


def _benchmarks(manifests: Sequence[Manifest]) -> dict[str, Benchmark]:
    return {benchmark.name: benchmark for benchmark in benchmarks_of(_datasets(manifests))}


def _datasets(manifests: Sequence[Manifest]) -> list[Dataset]:
    return [_dataset(of.key["dataset"], of.parts[0].ingredients) for of in manifests if of.table == "datasets"]


def _dataset(name: str, row: Ingredients) -> Dataset:
    benchmarks = row["benchmarks"]
    joined = tuple(map(str, benchmarks)) if isinstance(benchmarks, list) else ()
    return Dataset(name, str(row["role"]), joined, str(row["digest"]))


def _activations(manifests: Sequence[Manifest]) -> Mapping[str, Mapping[str, Part]]:
    digests = {dataset.name: dataset.digest for dataset in _datasets(manifests)}
    return extracted_of([manifest for manifest in manifests if manifest.table == "activations"], digests).current
