"""The registry of sources."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from extract.models.files import StoredWeights, reading
from extract.models.sources import augreg, big_vision, clip, hub, state_dict
from featurestore.names import pick

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from extract.models.sources.source import Weights, WeightsSource


def _guarded(source: WeightsSource) -> WeightsSource:
    """A source that raises nothing but sentences on the file, whatever is in it."""

    def of_file(function: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(stored: StoredWeights, *more: Any) -> Any:
            with reading(stored.path, "weights"):
                return function(stored, *more)

        return guarded

    def of_weights(function: Callable[[Weights], Any]) -> Callable[[Weights], Any]:
        def guarded(weights: Weights) -> Any:
            with reading(weights.checkpoint or "timm's weights", f"weights of {weights.architecture}"):
                return function(weights)

        return guarded

    return replace(
        source,
        recognise=of_file(source.recognise),
        facts=of_file(source.facts),
        build=of_weights(source.build),
        load=of_weights(source.load),
        told=of_weights(source.told),
    )


SOURCES: dict[str, WeightsSource] = {
    module.SOURCE.name: _guarded(module.SOURCE)
    for module in (big_vision, augreg, clip, state_dict, hub)  # the first that recognises a file takes it
}


def source_of(name: str | None, checkpoint: Path | None) -> WeightsSource:
    """The source of that name; without a name, the one that a checkpoint's bytes tell."""
    if name is not None:
        return SOURCES[pick("source of weights", name, SOURCES)]
    if checkpoint is None:
        return SOURCES[hub.SOURCE.name]
    npz = SOURCES[augreg.SOURCE.name]
    return npz if npz.recognise(StoredWeights(checkpoint)) else SOURCES[state_dict.SOURCE.name]


def source_of_file(stored: StoredWeights) -> WeightsSource:
    """The source that recognises weights by their names; looks into the file.

    Raises:
        InputError: The file cannot be read.
    """
    return next(source for source in SOURCES.values() if source.recognise(stored))
