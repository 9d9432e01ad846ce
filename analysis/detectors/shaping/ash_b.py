"""Energy after setting the largest features to one value, the others to 0."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from analysis.detectors.detector import OPENOOD, Detector
from analysis.detectors.shaping.shaped_energy import energy_of, head_of, kept, largest_entries

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations

PERCENTILE, OPENOOD_PERCENTILE = 65, 90


def _dropping(percentile: int) -> Callable[[None, Activations], NDArray[np.float64]]:
    def score(_fit: None, activations: Activations) -> NDArray[np.float64]:
        """Return log sum_c exp(w_c s(h) + b_c), s(h) = sum(h) / k on the k largest entries, shape [n]."""
        head, features = head_of(activations), activations.head_input64
        count = kept(features.shape[1], percentile)
        values = features.sum(axis=1) / count
        return energy_of(largest_entries(features, count) * values[:, None], head.weight, head.bias)

    return score


DETECTOR = Detector(
    name="ash-b",
    title="ASH-B",
    formula="log sum exp(W s(h) + b), s(h) = sum(h) / k on the k = D - round(D p / 100) largest entries, else 0",
    source="Djurisic et al. 2023, arXiv 2209.09858",
    score=_dropping(PERCENTILE),
    needs_head=True,
    assumes_nonnegative=True,
    hyperparameters=MappingProxyType({"percentile": PERCENTILE}),
)

OPENOOD_DETECTOR = replace(
    DETECTOR,
    name="ash-b.openood",
    score=_dropping(OPENOOD_PERCENTILE),
    hyperparameters=MappingProxyType({"percentile": OPENOOD_PERCENTILE}),
    convention=OPENOOD,
)
