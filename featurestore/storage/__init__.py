"""Storage as verbs on keys: one layer over local disk and object stores."""

from featurestore.storage.base import Entry, Storage
from featurestore.storage.local import LocalStorage
from featurestore.storage.opening import open_storage
from featurestore.storage.remote import ObjectStorage

__all__ = ["Entry", "LocalStorage", "ObjectStorage", "Storage", "open_storage"]
