"""Made-up models' activations: features, a head, and the logits that it gives of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.rows.activations import Activations, normalise
from analysis.rows.head import Head

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.analysis.conftest import Labelled


@dataclass(frozen=True, slots=True)
class Modelled:
    """Labelled fit rows and queries of one model."""

    rows: Activations
    labels: NDArray[np.int64]
    queries: Activations

    @property
    def head(self) -> Head:
        assert self.rows.head is not None
        return self.rows.head

    def part(self, which: NDArray[np.int64]) -> Modelled:
        """Some of the fit rows, in the given order."""
        assert self.rows.logits is not None
        rows = Activations(self.rows.feature[which], self.rows.logits[which], self.head)
        return replace(self, rows=rows, labels=self.labels[which])


def activations_of(features: NDArray[Any], head: Head, dtype: str = "float64") -> Activations:
    """Features with the logits that a head gives of them."""
    fed = normalise(features) if head.normalizes else features.astype(np.float64)
    return Activations(features, (fed @ head.weight.T + head.bias).astype(dtype), head)


def negative_labels(dim: int) -> NDArray[np.float64]:
    """Embeddings of eleven texts that name no class."""
    return np.random.default_rng(99).normal(size=(11, dim))


def headed(
    seed: int = 0,
    rows: int = 400,
    dim: int = 12,
    classes: int = 5,
    *,
    dtype: str = "float16",
    nonnegative: bool = True,
    normalizes: bool = False,
) -> Modelled:
    """A model of which most samples are classified correctly, and queries of which every other one is off the clusters."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(classes, dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    head = Head(2 * directions, rng.normal(size=classes) / 4, normalizes, negative_labels(dim))
    labels, asked = rng.integers(0, classes, rows), rng.integers(0, classes, 60)
    centres = 3 * directions

    def seen(features: NDArray[np.float64]) -> Activations:
        stored = (np.maximum(features, 0) if nonnegative else features).astype(dtype)
        return activations_of(stored, head, dtype)

    fit = centres[labels] + rng.normal(size=(rows, dim)) + 0.3
    queries = np.where(np.arange(60)[:, None] % 2, 0, centres[asked]) + rng.normal(size=(60, dim)) + 0.3
    return Modelled(seen(fit), labels, seen(queries))


def modelled(case: Labelled, *, seed: int = 0, queries: int = 30, normalizes: bool = False) -> Modelled:
    """A model whose head is made up at the scale of the features; half of the queries lie apart from the fit rows."""
    rng = np.random.default_rng(seed)
    features = case.features.astype(np.float64)
    dim, scale = features.shape[1], 1.0 if normalizes else np.abs(features).max()
    head = Head(
        rng.normal(size=(case.num_classes, dim)) / scale,
        rng.normal(size=case.num_classes),
        normalizes,
        negative_labels(dim),
    )
    near = features[rng.integers(0, len(features), queries)] * rng.uniform(0.9, 1.1, (queries, dim))
    near[: queries // 2] += features.std() * rng.normal(size=(queries // 2, dim))
    rows = activations_of(case.features, head)
    return Modelled(rows, case.labels, activations_of(near, head))
