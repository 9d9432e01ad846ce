"""Where weights come from: a registry with one module per source."""

from extract.models.files import Note
from extract.models.sources.architecture import as_json, is_known, of_json, unknown_name, without_values
from extract.models.sources.augreg import named_facts
from extract.models.sources.checkpoints import plain_arrays
from extract.models.sources.hub import published_facts
from extract.models.sources.registry import source_of, source_of_file
from extract.models.sources.source import Facts, Weights, WeightsSource

__all__ = [
    "Facts",
    "Note",
    "Weights",
    "WeightsSource",
    "as_json",
    "is_known",
    "named_facts",
    "of_json",
    "plain_arrays",
    "published_facts",
    "source_of",
    "source_of_file",
    "unknown_name",
    "without_values",
]
