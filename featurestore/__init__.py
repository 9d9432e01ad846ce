"""A feature-cache data lake with a query layer, for out-of-distribution detection on many vision models."""

from featurestore.errors import (
    ConflictError,
    CorruptionError,
    FormatError,
    InputError,
    LakeError,
    MissingError,
    NumericalError,
    StaleWarning,
    StorageError,
)
from featurestore.query import Filters
from featurestore.verbs import VerbLake as Lake
from featurestore.version import __version__

__all__ = [
    "ConflictError",
    "CorruptionError",
    "Filters",
    "FormatError",
    "InputError",
    "Lake",
    "LakeError",
    "MissingError",
    "NumericalError",
    "StaleWarning",
    "StorageError",
    "__version__",
]
