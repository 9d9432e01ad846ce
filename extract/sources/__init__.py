"""Where weights come from: a registry with one module per source."""

from extract.sources.base import FEATURE, Facts, Source
from extract.sources.networks import as_json
from extract.sources.published import published_facts
from extract.sources.registry import SOURCES, source_of, source_of_file

__all__ = [
    "FEATURE",
    "SOURCES",
    "Facts",
    "Source",
    "as_json",
    "published_facts",
    "source_of",
    "source_of_file",
]
