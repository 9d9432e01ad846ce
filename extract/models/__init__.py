"""Models: what users name, the networks that it becomes, and their heads."""

from extract.models.devices import choose_device, split_devices
from extract.models.heads import Head
from extract.models.network import Launched, LoadedModel
from extract.models.spec import ModelSpec

__all__ = [
    "Head",
    "Launched",
    "LoadedModel",
    "ModelSpec",
    "choose_device",
    "split_devices",
]
