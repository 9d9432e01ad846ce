"""Distances to the decision boundaries of all other classes, beside the distance to the mean feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.distance import cdist

from analysis.detectors.detector import Detector, FitInputs
from analysis.statistics.class_statistics import HEAD_CLASS_STATISTICS
from featurestore.errors import InputError, NumericalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.rows.head import Head

_CLASSES_AT_ONCE = 4096


@dataclass(frozen=True, slots=True, eq=False)
class FdbdFit:
    """The mean feature of the fit set, mu, float64, shape [D]."""

    mean: NDArray[np.float64]


def fit(inputs: FitInputs) -> FdbdFit:
    """Take the mean, and check that any two classes have a boundary.

    Raises:
        NumericalError: Two classes have the same weights.
    """
    weight = inputs.need_head().weight
    _, first = np.unique(weight, axis=0, return_index=True)
    if len(first) < len(weight):
        twin = int(np.setdiff1d(np.arange(len(weight)), first)[0])
        other = int(np.flatnonzero((weight == weight[twin]).all(axis=1))[0])
        raise NumericalError(
            f"Classes {other} and {twin} have the same weights, so that no decision boundary lies between them; "
            "check the head, or leave fdbd out."
        )
    return FdbdFit(inputs.class_statistics(HEAD_CLASS_STATISTICS).mean)


def score(fit: FdbdFit, activations: Activations) -> NDArray[np.float64]:
    """Return sum_{c != y} (z_y - z_c) / ||w_y - w_c||_2 / ||h - mu||_2 with y = argmax z, shape [n]."""
    if activations.head is None:
        raise InputError("These activations come without the model's head, whose weights fdbd needs.")
    below = activations.max_logit[:, None] - activations.logits64
    to_boundaries = np.einsum("nc,nc->n", below, _inverse_distances(activations.head, activations.predicted))
    return np.asarray(to_boundaries / np.linalg.norm(activations.head_input64 - fit.mean, axis=1))


def _inverse_distances(head: Head, classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """1 / ||w_y - w_c|| for some classes y and all c, 0 where they are equal, shape [n, C]."""
    if len(head.weight) <= _CLASSES_AT_ONCE:
        return head.memo.get("inverse-distances", lambda: _inverse(head.weight, head.weight))[classes]
    found, which = np.unique(classes, return_inverse=True)
    return _inverse(head.weight[found], head.weight)[which]


def _inverse(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    distances = cdist(first, second)
    return np.divide(1.0, distances, out=np.zeros_like(distances), where=distances > 0)


DETECTOR = Detector(
    name="fdbd",
    title="fDBD",
    formula="sum_{c != y} (z_y - z_c) / ||w_y - w_c||_2 / ||h - mu||_2, y = argmax z",
    source="Liu & Qin 2024, arXiv 2312.11536",
    score=score,
    fit=fit,
    fit_type=FdbdFit,
    fitted_on="fit features and labels",
    needs=(HEAD_CLASS_STATISTICS,),
    needs_logits=True,
    needs_head=True,
)
