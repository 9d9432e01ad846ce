"""Where weights come from: a registry with one module per source."""

from extract.models.sources.architecture import as_json
from extract.models.sources.hub import published_facts
from extract.models.sources.registry import SOURCES, source_of, source_of_file
from extract.models.sources.source import FEATURE, Facts, Weights, WeightsSource

__all__ = [
    "FEATURE",
    "SOURCES",
    "Facts",
    "Weights",
    "WeightsSource",
    "as_json",
    "published_facts",
    "source_of",
    "source_of_file",
]
