"""Transfer: what a lake holds, checked on its way into another one."""

from featurestore.transfer.comparison import Carried
from featurestore.transfer.copying import copy
from featurestore.transfer.merging import merge
from featurestore.transfer.other_names import Aside
from featurestore.transfer.restriction import EVERYTHING, Restriction

__all__ = ["EVERYTHING", "Aside", "Carried", "Restriction", "copy", "merge"]
