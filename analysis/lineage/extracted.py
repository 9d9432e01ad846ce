"""The activations of a lake, without those of other samples than their dataset has now: their scores join with nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.lineage.benchmark import datasets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from analysis.lineage.benchmark import Dataset
    from featurestore.lake import Lake
    from featurestore.layout.manifest import Manifest, Part


@dataclass(frozen=True, slots=True)
class Extracted:
    """Activations by model and dataset.

    Attributes:
        current: Those of the samples that their datasets have.
        outdated: The datasets of each model whose samples are others now.
    """

    current: Mapping[str, Mapping[str, Part]]
    outdated: Mapping[str, frozenset[str]]


def read_extracted(lake: Lake, **key: str) -> Extracted:
    """The activations of a lake; `key` keeps those of one `model`."""
    digests = {dataset.name: dataset.digest for dataset in datasets(lake)}
    return extracted_of(lake.partitions("activations", **key), digests)


def extracted_of(manifests: Iterable[Manifest], digests: Mapping[str, str]) -> Extracted:
    """Sort out activations.

    Args:
        manifests: Their partitions.
        digests: What the samples of each dataset are now.
    """
    current: dict[str, dict[str, Part]] = {}
    outdated: dict[str, frozenset[str]] = {}
    for manifest in manifests:
        model, dataset, part = manifest.key["model"], manifest.key["dataset"], manifest.parts[0]
        of_model = current.setdefault(model, {})
        if is_outdated(part, digests.get(dataset)):
            outdated[model] = outdated.get(model, frozenset()) | {dataset}
        else:
            of_model[dataset] = part
    return Extracted(current, outdated)


def partial_said(current: Mapping[str, Mapping[str, Part]], known: Iterable[Dataset]) -> list[str]:
    """Sentences on models whose activations rest on fewer samples than a dataset has.

    Args:
        current: Activations of the samples that their datasets have, by model and dataset.
        known: The datasets to look at.
    """
    said = []
    for dataset in known:
        rows = {model: of[dataset.name].rows for model, of in sorted(current.items()) if dataset.name in of}
        fewer = {model: count for model, count in rows.items() if count < dataset.samples}
        if fewer:
            who = next(iter(fewer)) if len(fewer) == 1 else f"{len(fewer):,} models"
            counts = " to ".join(f"{count:,}" for count in sorted({min(fewer.values()), max(fewer.values())}))
            said.append(f"{who} on {dataset.name}: {counts} of {dataset.samples:,} samples; the others are failures")
    return said


def is_outdated(activations: Part, digest: str | None) -> bool:
    """Whether activations are of other samples than their dataset has.

    Args:
        activations: The activations.
        digest: What the dataset's samples are now; None if the dataset was removed.
    """
    stored = activations.ingredients.get("dataset_digest")
    return digest is not None and stored is not None and stored != digest


def extract_again(dataset: str) -> str:
    """What to run where activations are outdated."""
    return (
        f"of other samples than {dataset} has now: "
        f"run `featurestore extract --replace --dataset {dataset}`, then `featurestore score`."
    )
