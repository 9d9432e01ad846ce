"""The registry of sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extract.models.files import StoredWeights
from extract.models.sources import augreg, big_vision, clip, hub, state_dict
from featurestore.names import pick

if TYPE_CHECKING:
    from pathlib import Path

    from extract.models.sources.source import WeightsSource

SOURCES: dict[str, WeightsSource] = {
    module.SOURCE.name: module.SOURCE
    for module in (big_vision, augreg, clip, state_dict, hub)  # the first that recognises a file takes it
}


def source_of(name: str | None, checkpoint: Path | None) -> WeightsSource:
    """The source of that name; without a name, the one that a checkpoint's bytes tell."""
    if name is not None:
        return SOURCES[pick("source of weights", name, SOURCES)]
    if checkpoint is None:
        return hub.SOURCE
    return augreg.SOURCE if augreg.SOURCE.recognise(StoredWeights(checkpoint)) else state_dict.SOURCE


def source_of_file(stored: StoredWeights) -> WeightsSource:
    """The source that recognises weights by their names; looks into the file.

    Raises:
        InputError: The file cannot be read.
    """
    return next(source for source in SOURCES.values() if source.recognise(stored))
