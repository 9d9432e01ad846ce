"""Which number a class has, what files say of it, and whether datasets of a benchmark agree."""

from extract.datasets.labelling.agreement import are_nested, check_other_images, check_same_classes
from extract.datasets.labelling.labels import label_classes

__all__ = ["are_nested", "check_other_images", "check_same_classes", "label_classes"]
