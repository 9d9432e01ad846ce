"""The lake with all verbs."""

from __future__ import annotations

from featurestore.verbs.editing import EditingLake
from featurestore.verbs.keeping import KeepingLake
from featurestore.verbs.making import MakingLake
from featurestore.verbs.scoring_lake import ScoringLake


class VerbLake(MakingLake, ScoringLake, EditingLake, KeepingLake):
    """A lake on which everything that the commands do can be called; `featurestore.Lake` is this class.

    Options have the names of the commands' (`--crop-pct` is `crop_pct`); where a command takes an option many times, a verb
    takes one text or a list. `say` is told what the command would print, by default on standard output; None keeps it quiet.
    `progress` shows how far long work is: a function of a title and a number of steps that gives a context with a function
    to call with the number just done; None shows nothing.
    """
