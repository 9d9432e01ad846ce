"""Which stored statistics just one detector needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analysis.detectors import registry
from analysis.scoring.geometry_stage import NEEDS
from analysis.statistics.statistic import with_earlier

if TYPE_CHECKING:
    from analysis.detectors import Detector
    from featurestore.lake import Lake


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
