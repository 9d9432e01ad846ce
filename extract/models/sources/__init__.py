"""Where weights come from: a registry with one module per source."""

from extract.models.sources.architecture import as_json
from extract.models.sources.augreg import named_facts
from extract.models.sources.checkpoints import plain_arrays, read_state_dict, sha256_of
from extract.models.sources.hub import published_facts
from extract.models.sources.registry import source_of, source_of_file
from extract.models.sources.source import Facts, Note, Weights, WeightsSource

__all__ = [
    "Facts",
    "Note",
    "Weights",
    "WeightsSource",
    "as_json",
    "named_facts",
    "plain_arrays",
    "published_facts",
    "read_state_dict",
    "sha256_of",
    "source_of",
    "source_of_file",
]
