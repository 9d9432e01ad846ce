"""A feature-cache data lake with a query layer, for out-of-distribution detection on many vision models.

What has to be imported for a name is imported when it is asked for, so that the command's help is printed at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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
from featurestore.version import __version__

if TYPE_CHECKING:
    from featurestore.layout import Manifest, Part
    from featurestore.partitions.reading import Batch
    from featurestore.query import Filters
    from featurestore.query import SqlFile as Question
    from featurestore.verbs import VerbLake as Lake

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

_LATER = {
    "Batch": ("featurestore.partitions.reading", "Batch"),
    "Filters": ("featurestore.query", "Filters"),
    "Lake": ("featurestore.verbs", "VerbLake"),
    "Manifest": ("featurestore.layout", "Manifest"),
    "Part": ("featurestore.layout", "Part"),
    "Question": ("featurestore.query", "SqlFile"),
}
"""Names whose modules take time to import: where they are, and what they are called there."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LATER[name]
    value = globals()[name] = getattr(importlib.import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
