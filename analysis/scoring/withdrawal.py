"""Dropping scores and statistics whose activations are gone and that cannot be made again, and those that only one detector needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analysis.detectors import registry
from analysis.lineage.ingredients import learned_by_detector
from analysis.scoring.fits import commit_statistics
from analysis.scoring.geometry_stage import NEEDS
from analysis.statistics.statistic import with_earlier
from featurestore.layout.tables import TABLES
from featurestore.partitions import snapshot, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from analysis.detectors import Detector
    from featurestore.lake import Lake
    from featurestore.layout.manifest import Part

_SOURCES = ("activations", "id_activations")


def withdraw_scores(
    lake: Lake, key: Mapping[str, str], activations: Mapping[str, Part], impossible: Callable[[str], bool]
) -> list[str]:
    """Drop a model's superseded scores by detectors that its activations do not allow; return the detectors' names.

    Args:
        lake: The lake.
        key: Benchmark and model.
        activations: The model's activations by dataset: scores of other datasets stay.
        impossible: Whether a detector cannot score them.
    """
    now = {part.fingerprint for part in activations.values()}

    def is_superseded(part: Part) -> bool:
        made_of = [part.ingredients.get(name) for name in _SOURCES]
        return any(source not in now for source in made_of) and impossible(part.key["detector"])

    gone: set[str] = set()
    for dataset in activations:
        of = {**key, "dataset": dataset}
        held = snapshot.latest(lake.storage, TABLES["scores"], of)
        gone |= {part.key["detector"] for part in held.parts if is_superseded(part)} if held else set()
        writing.drop(lake.storage, TABLES["scores"], of, is_superseded)
    return sorted(gone)


def drop_detector_fits(lake: Lake, model: str) -> None:
    """Drop what earlier versions stored and this one computes; `gc` then deletes its files."""
    for manifest in lake.partitions("fits", model=model):
        if any(map(learned_by_detector, manifest.parts)):
            commit_statistics(lake, model, manifest.key["dataset"])


def drop_superseded_fits(lake: Lake, model: str, activations: Mapping[str, Part]) -> None:
    """Drop statistics of activations that are gone: what is still needed was gathered again.

    Args:
        lake: The lake.
        model: The model.
        activations: Its activations by dataset.
    """
    for dataset, part in activations.items():

        def is_superseded(fit: Part, now: str = part.fingerprint) -> bool:
            return fit.ingredients.get("activations", now) != now

        writing.drop(lake.storage, TABLES["fits"], {"model": model, "dataset": dataset}, is_superseded)


def own_statistics(lake: Lake, name: str) -> set[str]:
    """The statistics that a detector needs, and neither geometry nor another detector that the lake has scores of; by name."""
    scored = {part.key["detector"] for manifest in lake.partitions("scores") for part in manifest.parts}
    known = registry.known_by({name, *scored})
    others = [known[other] for other in scored - {name} if other in known]
    needed = {need.name for need in with_earlier(NEEDS)}.union(*map(_needs, others))
    return _needs(known[name]) - needed if name in known else set()


def _needs(detector: Detector[Any]) -> set[str]:
    """Whether the features are at unit length or not, and what comes before."""
    needs = {need.of(normalizes=unit) for need in detector.statistics for unit in (False, True)}
    return {need.name for need in with_earlier(needs)}
