"""What `featurestore doctor` finds of a machine that only torch can tell."""

from extract.machine.networks import examine_networks

__all__ = ["examine_networks"]
