"""Energy after scaling the largest features up, and setting the others to 0 (ASH-S, ASH-B) or scaling them too (SCALE)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import OPENOOD, Detector
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.detectors.shaping.shaped_energy import energy_of, kept, largest_entries, largest_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


def dropped(default: int) -> tuple[Hyperparameter]:
    """The percentile p up to which entries are not among the largest."""
    return (
        Hyperparameter("percentile", default, 0, 99, "p: percentage of the entries that are not among the largest"),
    )


def binarised(_fit: None, activations: Activations, *, percentile: int) -> NDArray[np.float64]:
    """Return log sum_c exp(w_c s(h) + b_c), s(h) = sum(h) / k on the k largest entries, shape [n]."""
    head, features = activations.need_head(), activations.head_input64
    count = kept(features.shape[1], percentile)
    values = features.sum(axis=1) / count
    return energy_of(largest_entries(features, count) * values[:, None], head.weight, head.bias)


def pruned(_fit: None, activations: Activations, *, percentile: int) -> NDArray[np.float64]:
    """Return log sum_c exp(w_c s(h) + b_c), s(h) = h exp(sum h / sum top-k h) on the k largest entries, shape [n]."""
    head, features = activations.need_head(), activations.head_input64
    largest = largest_entries(features, kept(features.shape[1], percentile))
    shaped = np.where(largest, features, 0.0)
    shaped *= np.exp(features.sum(axis=1) / shaped.sum(axis=1))[:, None]
    return energy_of(shaped, head.weight, head.bias)


def scaled(_fit: None, activations: Activations, *, percentile: int) -> NDArray[np.float64]:
    """Return log sum_c exp(w_c h exp(sum h / sum top-k h) + b_c), shape [n]."""
    head, features = activations.need_head(), activations.head_input64
    top = largest_sum(features, kept(features.shape[1], percentile))
    factors = np.exp(features.sum(axis=1) / top)
    return energy_of(features * factors[:, None], head.weight, head.bias)


ASH_B: Detector[None] = Detector(
    name="ash-b",
    title="ASH-B",
    formula="log sum exp(W s(h) + b), s(h) = sum(h) / k on the k = D - round(D p / 100) largest entries, else 0",
    source="Djurisic et al. 2023, arXiv 2209.09858",
    score=binarised,
    needs_head=True,
    hyperparameters=dropped(65),
)

OPENOOD_ASH_B = replace(
    ASH_B,
    name="ash-b.openood",
    hyperparameters=dropped(90),
    convention=OPENOOD,
)

ASH_S = replace(
    ASH_B,
    name="ash-s",
    title="ASH-S",
    formula=(
        "log sum exp(W s(h) + b), s(h) = h exp(sum h / sum top-k h) on the k = D - round(D p / 100) largest entries, else 0"
    ),
    score=pruned,
    hyperparameters=dropped(90),
)

SCALE = replace(
    ASH_B,
    name="scale",
    title="SCALE",
    formula="log sum exp(W h exp(sum h / sum top-k h) + b), k = D - round(D p / 100)",
    source="Xu et al. 2024, arXiv 2310.00227",
    score=scaled,
    hyperparameters=dropped(85),
)
