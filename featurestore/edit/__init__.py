"""Edit: removing and renaming what a lake holds, by what its manifests say alone."""

from featurestore.edit.inventory import KINDS, Inventory, read_inventory
from featurestore.edit.removal import leaving, removal
from featurestore.edit.steps import Edit, Step, carry_out, summary

__all__ = [
    "KINDS",
    "Edit",
    "Inventory",
    "Step",
    "carry_out",
    "leaving",
    "read_inventory",
    "removal",
    "summary",
]
