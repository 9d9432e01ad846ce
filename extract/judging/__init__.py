"""Judging images: from what a user names to activations of the network that a lake knows, which whoever judges turns into verdicts."""

from extract.judging.images import SeenImages, named_images, seen_images
from extract.judging.module import JudgedNetwork, judged_network

__all__ = ["JudgedNetwork", "SeenImages", "judged_network", "named_images", "seen_images"]
