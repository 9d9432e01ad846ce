"""Neural-collapse inspired: how nearly the centred feature points along the weights of its predicted class."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import Detector, FitInputs
from analysis.statistics.class_statistics import HEAD_CLASS_STATISTICS
from featurestore.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations

_ALPHA = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class NciFit:
    """The mean feature of the fit set, mu, float64, shape [D]."""

    mean: NDArray[np.float64]


def fit(inputs: FitInputs) -> NciFit:
    """Take the mean of what the head is fed."""
    return NciFit(inputs.class_statistics(HEAD_CLASS_STATISTICS).mean)


def score(fit: NciFit, activations: Activations) -> NDArray[np.float64]:
    """Return <w_y, h - mu> / ||h - mu||_2 + a ||h||_1 with y = argmax z, shape [n]."""
    if activations.head is None:
        raise InputError("These activations come without the model's head, whose weights nci needs.")
    features = activations.head_input64
    away = features - fit.mean
    along = np.einsum("nd,nd->n", away, activations.head.weight[activations.predicted])
    return np.asarray(along / np.linalg.norm(away, axis=1) + _ALPHA * np.abs(features).sum(axis=1))


DETECTOR = Detector(
    name="nci",
    title="NCI",
    formula="<w_y, h - mu> / ||h - mu||_2 + a ||h||_1, y = argmax z",
    source="Liu & Qin 2025, arXiv 2311.01479",
    score=score,
    fit=fit,
    fit_type=NciFit,
    fitted_on="fit features and labels",
    needs=(HEAD_CLASS_STATISTICS,),
    needs_logits=True,
    needs_head=True,
    hyperparameters=MappingProxyType({"alpha": _ALPHA}),
)
