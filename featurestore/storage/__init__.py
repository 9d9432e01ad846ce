"""Storage as verbs on keys: one layer over local disk and object stores."""

from featurestore.storage.base import Storage, StoredObject
from featurestore.storage.lake_cache import LakeCache
from featurestore.storage.local import LocalStorage
from featurestore.storage.overlay import Overlay
from featurestore.storage.remembering import Remembering
from featurestore.storage.remote import ObjectStorage, open_storage

__all__ = [
    "LakeCache",
    "LocalStorage",
    "ObjectStorage",
    "Overlay",
    "Remembering",
    "Storage",
    "StoredObject",
    "open_storage",
]
