"""What a lake holds of every stage, from its manifests alone: each table is listed and read once."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.lineage.benchmark import benchmarks_in, datasets
from analysis.rows.head import tells_classes
from featurestore.layout.judged_scores import JUDGING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.lineage.benchmark import Benchmark, Dataset
    from featurestore.lake import Lake
    from featurestore.layout.manifest import Manifest, Part


@dataclass(frozen=True, slots=True)
class LakeIndex:
    """The partitions of a lake, where `status` looks for them.

    Attributes:
        datasets: By name.
        benchmarks: Those that can be judged.
        models: The part that describes each model, by name.
        activations: By model, then by dataset.
        fits: By model and dataset.
        scores: By benchmark and model, then by dataset.
        judging: Metrics and selective prediction: by table, benchmark and model.
        calibration: By model and dataset.
        constant_heads: Models whose head tells no class from another.
    """

    datasets: Mapping[str, Dataset]
    benchmarks: Sequence[Benchmark]
    models: Mapping[str, Part]
    activations: Mapping[str, Mapping[str, Manifest]]
    fits: Mapping[tuple[str, str], Manifest]
    scores: Mapping[tuple[str, str], Mapping[str, Manifest]]
    judging: Mapping[tuple[str, str, str], Manifest]
    calibration: Mapping[tuple[str, str], Manifest]
    constant_heads: frozenset[str] = frozenset()

    @property
    def detectors(self) -> set[str]:
        """Names of the detectors that the lake has scores of."""
        manifests = (manifest for of in self.scores.values() for manifest in of.values())
        return {part.key["detector"] for manifest in manifests for part in manifest.parts}


def read_lake_index(lake: Lake) -> LakeIndex:
    """Read what a lake holds.

    Raises:
        MissingError: There is no lake.
    """
    lake.check_exists()
    activations: dict[str, dict[str, Manifest]] = defaultdict(dict)
    for manifest in lake.partitions("activations"):
        activations[manifest.key["model"]][manifest.key["dataset"]] = manifest
    scores: dict[tuple[str, str], dict[str, Manifest]] = defaultdict(dict)
    for manifest in lake.partitions("scores"):
        scores[manifest.key["benchmark"], manifest.key["model"]][manifest.key["dataset"]] = manifest
    known = datasets(lake)
    return LakeIndex(
        datasets={dataset.name: dataset for dataset in known},
        benchmarks=benchmarks_in(lake, known),
        models={manifest.key["model"]: manifest.parts[0] for manifest in lake.partitions("models")},
        activations=activations,
        fits={(manifest.key["model"], manifest.key["dataset"]): manifest for manifest in lake.partitions("fits")},
        scores=scores,
        judging={
            (of.table, of.key["benchmark"], of.key["model"]): of for name in JUDGING for of in lake.partitions(name)
        },
        calibration={(of.key["model"], of.key["dataset"]): of for of in lake.partitions("calibration")},
        constant_heads=frozenset(of.key["model"] for of in lake.partitions("heads") if not tells_classes(of.parts[0])),
    )
