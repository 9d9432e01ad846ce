"""Activations of made-up models with a linear head: features that cluster by class, and the logits that follow from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.rows.activations import Activations
from analysis.rows.head import Head


@dataclass(frozen=True, slots=True)
class Headed:
    fit: Activations
    labels: np.ndarray
    queries: Activations

    def part(self, rows: np.ndarray) -> tuple[Activations, np.ndarray]:
        """Some of the fit rows, in the given order, with their labels."""
        logits = self.fit.logits
        assert logits is not None
        return Activations(self.fit.feature[rows], logits[rows], self.fit.head), self.labels[rows]


def headed(
    seed: int = 0,
    rows: int = 400,
    dim: int = 12,
    classes: int = 5,
    *,
    dtype: str = "float16",
    nonnegative: bool = True,
    normalizes: bool = False,
    apart: float = 3.0,
) -> Headed:
    """A model of which most samples are classified correctly, and queries of which every other one is off the clusters."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(classes, dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    head = Head(2 * directions, rng.normal(size=classes) / 4, normalizes)
    labels = rng.integers(0, classes, rows)
    asked = rng.integers(0, classes, 60)
    centres = apart * directions
    fit = centres[labels] + rng.normal(size=(rows, dim)) + 0.3
    queries = np.where(np.arange(60)[:, None] % 2, 0, centres[asked]) + rng.normal(size=(60, dim)) + 0.3
    return Headed(_seen(fit, head, dtype, nonnegative), labels, _seen(queries, head, dtype, nonnegative))


def _seen(features: np.ndarray, head: Head, dtype: str, nonnegative: bool) -> Activations:
    stored = (np.maximum(features, 0) if nonnegative else features).astype(dtype)
    wide = stored.astype(float)
    fed = wide / np.linalg.norm(wide, axis=1, keepdims=True) if head.normalizes else wide
    return Activations(stored, (fed @ head.weight.T + head.bias).astype(dtype), head)
