"""A made-up model's activations: features, a head, and the logits that it gives of them."""

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

    def shuffled(self, seed: int = 0) -> Modelled:
        """The same fit rows in another order."""
        order = np.random.default_rng(seed).permutation(len(self.rows))
        assert self.rows.logits is not None
        rows = Activations(self.rows.feature[order], self.rows.logits[order], self.head)
        return replace(self, rows=rows, labels=self.labels[order])


def activations_of(features: NDArray[Any], head: Head) -> Activations:
    """Features with the logits that a head gives of them."""
    fed = normalise(features) if head.normalizes else features.astype(np.float64)
    return Activations(features, fed @ head.weight.T + head.bias, head)


def modelled(case: Labelled, *, seed: int = 0, queries: int = 30, normalizes: bool = False) -> Modelled:
    """A model whose head is made up at the scale of the features; half of the queries lie apart from the fit rows."""
    rng = np.random.default_rng(seed)
    features = case.features.astype(np.float64)
    dim, scale = features.shape[1], 1.0 if normalizes else np.abs(features).max()
    head = Head(rng.normal(size=(case.num_classes, dim)) / scale, rng.normal(size=case.num_classes), normalizes)
    near = features[rng.integers(0, len(features), queries)] * rng.uniform(0.9, 1.1, (queries, dim))
    near[: queries // 2] += features.std() * rng.normal(size=(queries // 2, dim))
    rows = activations_of(case.features, head)
    return Modelled(rows, case.labels, activations_of(near, head))
