"""A feature-cache data lake with a query layer, for out-of-distribution detection on many vision models."""

from featurestore.errors import (
    ClusterError,
    ConflictError,
    CorruptionError,
    FormatError,
    InputError,
    LakeError,
    MissingError,
    NumericalError,
    StaleWarning,
    StorageError,
    UnreadableError,
)
from featurestore.layout import Manifest, Part
from featurestore.partitions.reading import Batch
from featurestore.query import Filters
from featurestore.query import SqlFile as Question
from featurestore.verbs import VerbLake as Lake
from featurestore.version import __version__

__all__ = [
    "Batch",
    "ClusterError",
    "ConflictError",
    "CorruptionError",
    "Filters",
    "FormatError",
    "InputError",
    "Lake",
    "LakeError",
    "Manifest",
    "MissingError",
    "NumericalError",
    "Part",
    "Question",
    "StaleWarning",
    "StorageError",
    "UnreadableError",
    "__version__",
]
