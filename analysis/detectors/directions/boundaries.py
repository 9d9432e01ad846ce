"""The feature beside the mean feature and the head's weights: distances (fDBD) and angles (ORA) to decision boundaries, and NCI."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.algebra.class_scatter import require_samples
from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.statistics.class_statistics import HEAD_CLASS_MEANS
from featurestore.errors import NumericalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.rows.head import Head

_CLASSES_AT_ONCE = 4096


@dataclass(frozen=True, slots=True, eq=False)
class MeanFit:
    """The mean of what the head is fed over the fit set, mu, float64, shape [D]."""

    mean: NDArray[np.float64]


def fit_mean(inputs: FitInputs) -> MeanFit:
    """Take the mean of what the head is fed."""
    return MeanFit(inputs.class_means(HEAD_CLASS_MEANS).mean)


def fit_boundaries(inputs: FitInputs) -> MeanFit:
    """Take the mean, and check that any two classes have a boundary.

    Raises:
        NumericalError: Two classes have the same weights.
    """
    _require_boundaries(inputs)
    return fit_mean(inputs)


def _require_boundaries(inputs: FitInputs) -> None:
    weight = inputs.need_head().weight
    _, first = np.unique(weight, axis=0, return_index=True)
    if len(first) < len(weight):
        twin = int(np.setdiff1d(np.arange(len(weight)), first)[0])
        other = int(np.flatnonzero((weight == weight[twin]).all(axis=1))[0])
        raise NumericalError(
            f"Classes {other} and {twin} have the same weights, so that no decision boundary lies between them; "
            "check the head, or leave this detector out."
        )


def to_boundaries(fit: MeanFit, activations: Activations) -> NDArray[np.float64]:
    """Return sum_{c != y} (z_y - z_c) / ||w_y - w_c||_2 / ||h - mu||_2 with y = argmax z, shape [n]."""
    head = activations.need_head()
    below = activations.max_logit[:, None] - activations.logits64
    far = np.einsum("nc,nc->n", below, _inverse_distances(head, activations.predicted))
    return np.asarray(far / np.linalg.norm(activations.head_input64 - fit.mean, axis=1))


def fit_angles(inputs: FitInputs) -> MeanFit:
    """Take the mean of the class means, and check that any two classes have a boundary.

    Raises:
        InputError: The statistics hold no samples.
        NumericalError: Two classes have the same weights.
    """
    _require_boundaries(inputs)
    statistics = inputs.class_means(HEAD_CLASS_MEANS)
    require_samples(statistics)
    return MeanFit(statistics.means[statistics.counts > 0].mean(axis=0))


def to_projections(fit: MeanFit, activations: Activations) -> NDArray[np.float64]:
    """Return max_c angle(h - mu, h_c - mu) / pi, h_c = h projected onto the boundary of c and the predicted class y, shape [n].

    With a = h - mu, v = w_y - w_c and t = (z_y - z_c) / ||v||^2 it is h_c - mu = a - t v, and so the angle's cotangent is
    (||a||^2 - t <a, v>) / (t (||a||^2 ||v||^2 - <a, v>^2)^(1/2)).
    """
    head = activations.need_head()
    away = activations.head_input64 - fit.mean
    square = np.einsum("nd,nd->n", away, away)[:, None]
    along = away @ head.weight.T
    along = along[np.arange(len(along)), activations.predicted][:, None] - along
    inverse = _inverse_distances(head, activations.predicted)
    steps = -activations.shifted_logits * inverse
    along *= inverse
    across = np.sqrt(np.maximum(square - along**2, 0.0))
    angles = np.arctan2(steps * across, square - steps * along)
    return np.asarray(angles.max(axis=1) / np.pi)


def _inverse_distances(head: Head, classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """1 / ||w_y - w_c|| for some classes y and all c, 0 where they are equal, shape [n, C]."""
    if len(head.weight) <= _CLASSES_AT_ONCE:
        return head.memo.get("inverse-distances", lambda: _inverse(head.weight, head.weight))[classes]
    found, which = np.unique(classes, return_inverse=True)
    return _inverse(head.weight[found], head.weight)[which]


def _inverse(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.spatial.distance import cdist  # slow to import, and every detector is

    distances = cdist(first, second)
    return np.divide(1.0, distances, out=np.zeros_like(distances), where=distances > 0)


def along_weights(fit: MeanFit, activations: Activations, *, alpha: float) -> NDArray[np.float64]:
    """Return <w_y, h - mu> / ||h - mu||_2 + a ||h||_1 with y = argmax z, shape [n]."""
    weight = activations.need_head().weight
    away = activations.head_input64 - fit.mean
    along = np.einsum("nd,nd->n", away, weight[activations.predicted])
    return np.asarray(along / np.linalg.norm(away, axis=1) + alpha * activations.l1_norms)


FDBD = Detector(
    name="fdbd",
    title="fDBD",
    formula="sum_{c != y} (z_y - z_c) / ||w_y - w_c||_2 / ||h - mu||_2, y = argmax z",
    source="Liu & Qin 2024, arXiv 2312.11536",
    score=to_boundaries,
    fit=fit_boundaries,
    fitted_on="fit features and labels",
    needs=(HEAD_CLASS_MEANS,),
    needs_logits=True,
    needs_head=True,
)

ORA = replace(
    FDBD,
    name="ora",
    title="ORA",
    formula=(
        "max_c angle(h - mu, h_c - mu) / pi, h_c = h projected onto the boundary of c and y, y = argmax z, mu = mean of class means"
    ),
    source="Demirel et al. 2025, arXiv 2410.04525",
    score=to_projections,
    fit=fit_angles,
)

NCI = replace(
    FDBD,
    name="nci",
    title="NCI",
    formula="<w_y, h - mu> / ||h - mu||_2 + a ||h||_1, y = argmax z",
    source="Liu & Qin 2025, arXiv 2311.01479",
    score=along_weights,
    fit=fit_mean,
    hyperparameters=(Hyperparameter("alpha", 1e-4, 0.0, math.inf, "a: what the 1-norm of the feature counts"),),
)
