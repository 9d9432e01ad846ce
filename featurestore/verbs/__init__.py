"""The lake with verbs: what the commands do, with the same words and defaults, for scripts and notebooks.

The stages are imported when a verb needs them: `extract` alone needs torch.
"""

from featurestore.verbs.scoring_lake import image_opener_of
from featurestore.verbs.verb_lake import VerbLake

__all__ = ["VerbLake", "image_opener_of"]
