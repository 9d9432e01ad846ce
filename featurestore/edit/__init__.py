"""Edit: removing and correcting what a lake holds, by what its manifests say alone."""

from featurestore.edit.inventory import KINDS, Inventory, read_inventory
from featurestore.edit.recipe import correction
from featurestore.edit.removal import removal, row_change
from featurestore.edit.renaming import rename, renaming
from featurestore.edit.steps import Edit, Step, carry_out, summary

__all__ = [
    "KINDS",
    "Edit",
    "Inventory",
    "Step",
    "carry_out",
    "correction",
    "read_inventory",
    "removal",
    "rename",
    "renaming",
    "row_change",
    "summary",
]
