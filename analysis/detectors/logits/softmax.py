"""What follows from a sample's logits alone: MaxLogit, energy, MSP, MCM, entropy, GEN, Doctor and LogitGap."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import Detector
from analysis.detectors.hyperparameter import Hyperparameter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


def max_logit(_fit: None, activations: Activations) -> NDArray[np.float64]:
    """Return max_c z_c, shape [n]."""
    return activations.max_logit


def energy(_fit: None, activations: Activations) -> NDArray[np.float64]:
    """Return log sum_c exp(z_c), shape [n]."""
    return activations.log_sum_exp


def msp(_fit: None, activations: Activations) -> NDArray[np.float64]:
    """Return max_c softmax(z)_c = 1 / sum_c exp(z_c - max z), shape [n]."""
    return 1.0 / activations.softmax_normaliser


def tempered_msp(_fit: None, activations: Activations, *, temperature: float) -> NDArray[np.float64]:
    """Return max_c softmax(z / T)_c = 1 / sum_c exp((z_c - max z) / T), shape [n]."""
    if temperature == 1:
        return msp(None, activations)
    return 1.0 / activations.normaliser_at(temperature)


def negative_entropy(_fit: None, activations: Activations) -> NDArray[np.float64]:
    """Return sum_c p_c log p_c = sum_c p_c (z_c - max z) - log sum_c exp(z_c - max z), shape [n]."""
    return activations.memo.get("negative_entropy", lambda: _negative_entropy(activations))


def _negative_entropy(activations: Activations) -> NDArray[np.float64]:
    entropy = np.empty(len(activations))
    for rows, shifted in activations.shifted_parts():
        exponentials = np.exp(shifted)
        normaliser = exponentials.sum(axis=1)
        entropy[rows] = np.einsum("nc,nc->n", exponentials, shifted) / normaliser - np.log(normaliser)
    return entropy


def generalised_entropy(_fit: None, activations: Activations, *, gamma: float, largest: int) -> NDArray[np.float64]:
    """Return -sum over the M largest p of p^g (1 - p)^g, shape [n], with 1 - p of the largest as the sum of the others."""
    exponentials = activations.exponentials
    count = min(largest, exponentials.shape[1])
    ordered = np.partition(exponentials, -count, axis=1)
    rows = np.arange(len(ordered))
    top = ordered[:, -count:]
    # The largest exponential is 1. Without it the others' sum keeps digits that 1 - p has not.
    first = top.argmax(axis=1)
    top[rows, first] = 0.0
    others = ordered.sum(axis=1)
    normaliser = 1.0 + others
    shares = top / normaliser[:, None]
    products = shares * (1.0 - shares)
    products[rows, first] = others / normaliser**2
    return np.asarray(-(products**gamma).sum(axis=1))


def doctor(_fit: None, activations: Activations, *, temperature: float) -> NDArray[np.float64]:
    """Return -(1 - g) / g, g = sum_c p_c^2, p = softmax(z / T), shape [n].

    With s and q as the sums of e^((z_c - max z) / T) and of its square over all classes but the largest, that is
    -(2 s + s^2 - q) / (1 + q), which keeps digits that 1 - g has not.
    """
    scaled = activations.exponentials if temperature == 1 else np.exp(activations.shifted_logits / temperature)
    exponentials = scaled.copy()
    exponentials[np.arange(len(exponentials)), activations.predicted] = 0.0
    others = exponentials.sum(axis=1)
    squares = np.einsum("nc,nc->n", exponentials, exponentials)
    return np.asarray(-(2.0 * others + (others**2 - squares)) / (1.0 + squares))


def logit_gap(_fit: None, activations: Activations, *, others: int) -> NDArray[np.float64]:
    """Return the mean of max z - z_c over the N classes of the next largest logits, shape [n]; 0 where there is one class."""
    below = -activations.shifted_logits
    count = min(others, below.shape[1] - 1)
    # The smallest of all is the 0 of the largest logit itself.
    nearest = np.partition(below, count, axis=1)[:, : count + 1]
    return np.asarray(nearest.sum(axis=1) / max(count, 1))


MAX_LOGIT: Detector[None] = Detector(
    "max-logit",
    "MaxLogit",
    "max_c z_c",
    "Hendrycks et al. 2022, arXiv 1911.11132",
    max_logit,
    needs_logits=True,
    needs_features=False,
)

ENERGY: Detector[None] = Detector(
    name="energy",
    title="Energy",
    formula="log sum_c exp(z_c)",
    source="Liu et al. 2020, arXiv 2010.03759, at temperature 1",
    score=energy,
    needs_logits=True,
    needs_features=False,
)

MSP: Detector[None] = Detector(
    "msp",
    "MSP",
    "max_c softmax(z)_c",
    "Hendrycks & Gimpel 2017, arXiv 1610.02136",
    msp,
    needs_logits=True,
    needs_features=False,
)

MCM: Detector[None] = Detector(
    name="mcm",
    title="MCM",
    formula="max_c softmax(z / T)_c; at T = 1 the same as msp",
    source="Ming et al. 2022, arXiv 2211.13445",
    score=tempered_msp,
    needs_logits=True,
    needs_features=False,
    hyperparameters=(Hyperparameter("temperature", 1.0, 1e-3, 1e3, "T: what logits are divided by", unstated=True),),
)

ENTROPY: Detector[None] = Detector(
    name="entropy",
    title="Entropy",
    formula="sum_c p_c log p_c, p = softmax(z)",
    source="Shannon 1948, doi 10.1002/j.1538-7305.1948.tb01338.x",
    score=negative_entropy,
    needs_logits=True,
    needs_features=False,
)

GEN: Detector[None] = Detector(
    name="gen",
    title="GEN",
    formula="-sum over the M largest p of p^g (1 - p)^g, p = softmax(z)",
    source="Liu et al. 2023, CVPR, GEN: Pushing the Limits of Softmax-Based Out-of-Distribution Detection",
    score=generalised_entropy,
    needs_logits=True,
    needs_features=False,
    hyperparameters=(
        Hyperparameter("gamma", 0.1, 0.0, 1.0, "g: the exponent"),
        Hyperparameter("largest", 100, 1, math.inf, "M: how many of the largest p count; all of fewer classes"),
    ),
)

DOCTOR: Detector[None] = Detector(
    name="doctor",
    title="Doctor",
    formula="-(1 - g) / g, g = sum_c p_c^2, p = softmax(z / T)",
    source="Granese et al. 2021, arXiv 2106.02395, the rule D_alpha without perturbed images",
    score=doctor,
    needs_logits=True,
    needs_features=False,
    hyperparameters=(Hyperparameter("temperature", 1.0, 1e-3, 1e3, "T: what logits are divided by"),),
)

LOGIT_GAP: Detector[None] = Detector(
    name="logit-gap",
    title="LogitGap",
    formula="max z - mean of the N next largest logits",
    source="Liang et al. 2025, arXiv 2510.20134, with the N of its authors' code for ImageNet",
    score=logit_gap,
    needs_logits=True,
    needs_features=False,
    hyperparameters=(
        Hyperparameter("others", 88, 1, math.inf, "N: how many of the next largest logits; all of fewer classes"),
    ),
)
