"""Checkpoint files as data: what they are, which weights they hold and under which names; code in them is never run."""

from extract.models.files.boundary import check_is_file, check_unpacked, reading, reason
from extract.models.files.candidates import AUTO
from extract.models.files.content import ARRAYS, sha256_of
from extract.models.files.folder import SUFFIXES, HubConfig, checkpoint_in, config_beside
from extract.models.files.note import Note
from extract.models.files.stored import Outline, StoredWeights, outline, read_shapes, read_state_dict

__all__ = [
    "ARRAYS",
    "AUTO",
    "SUFFIXES",
    "HubConfig",
    "Note",
    "Outline",
    "StoredWeights",
    "check_is_file",
    "check_unpacked",
    "checkpoint_in",
    "config_beside",
    "outline",
    "read_shapes",
    "read_state_dict",
    "reading",
    "reason",
    "sha256_of",
]
