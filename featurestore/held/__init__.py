"""What a lake holds now, as a whole: the manifests of its tables, read once, and how old what they name is."""

from featurestore.held.age import AGEING, ALL, OF_SAMPLES, Held
from featurestore.held.complaints import complaints

__all__ = ["AGEING", "ALL", "OF_SAMPLES", "Held", "complaints"]
