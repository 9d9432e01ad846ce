"""How much of the softmax falls to classes rather than to negative labels, texts that name no class (NegLabel)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import scipy

from analysis.detectors.detector import Detector
from analysis.detectors.directions.cosines import cosines_with, unit_rows, weight_directions
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.rows.activations import log_sum_exp
from featurestore.errors import MissingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.rows.head import Head

_SEED = 0


def score(_fit: None, activations: Activations, *, temperature: float, groups: int) -> NDArray[np.float64]:
    """Return the mean over groups G of sum_c e^(cos(h, w_c) / T) / (the same + sum_{n in G} e^(cos(h, n) / T)), shape [n].

    Negative labels are shuffled by a fixed seed and cut into groups of equal size; those that are left over, the last of the
    head's, count in none.

    Raises:
        MissingError: The head has no negative labels.
        NumericalError: The weights of a class, or the embedding of a negative label, are zero.
    """
    head = activations.need_head()
    wanted = log_sum_exp(cosines_with(weight_directions(activations), activations) / temperature)
    shares = np.zeros(len(wanted))
    parts = head.memo.get(("negative-groups", groups), lambda: _groups(head, groups))
    for part in parts:
        shares += scipy.special.expit(wanted - log_sum_exp(activations.normalised64 @ part.T / temperature))
    return np.asarray(shares / len(parts))


def _groups(head: Head, groups: int) -> list[NDArray[np.float64]]:
    """Unit embeddings of the negative labels in groups, each of shape [m, D]."""
    if head.negatives is None:
        raise MissingError(
            "The head has no embeddings of negative labels, which neglabel needs: extract with a --head FILE.npz that has `negatives`."
        )
    count = min(groups, len(head.negatives))
    kept = len(head.negatives) // count * count
    unit = unit_rows(head.negatives[:kept], np.arange(kept), "embedding of negative label")
    return np.split(unit[np.random.default_rng(_SEED).permutation(kept)], count)


NEGLABEL: Detector[None] = Detector(
    name="neglabel",
    title="NegLabel",
    formula=(
        "mean over groups G of negative labels of S / (S + sum_{n in G} exp(cos(h, n) / T)), S = sum_c exp(cos(h, w_c) / T)"
    ),
    source="Jiang et al. 2024, arXiv 2403.20078",
    score=score,
    needs_head=True,
    needs_negatives=True,
    on_request=True,
    hyperparameters=(
        Hyperparameter("temperature", 0.01, 1e-4, 1e3, "T: what cosines are divided by"),
        Hyperparameter(
            "groups", 100, 1, math.inf, "number of groups; as many as there are negative labels if those are fewer"
        ),
    ),
)
