"""Models: what users name, the networks that it becomes, and their heads."""

from extract.models.devices import choose_device, split_devices
from extract.models.heads import Head
from extract.models.launched import Launched
from extract.models.layers import parse_features
from extract.models.network import LayerOfModel, LoadedModel
from extract.models.spec import ModelSpec
from featurestore.refusals import OF_ONE_MODEL, Refusals, about, blamed

__all__ = [
    "OF_ONE_MODEL",
    "Head",
    "Launched",
    "LayerOfModel",
    "LoadedModel",
    "ModelSpec",
    "Refusals",
    "about",
    "blamed",
    "choose_device",
    "parse_features",
    "split_devices",
]
