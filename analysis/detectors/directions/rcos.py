"""Relative cosine: the softmax of the cosines to all class means."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.directions.class_directions import ClassDirections, cosines, largest_softmax, mean_directions
from analysis.statistics.class_statistics import CLASS_STATISTICS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


def fit(inputs: FitInputs) -> ClassDirections:
    """Take the directions of the class means."""
    return mean_directions(inputs.class_statistics(CLASS_STATISTICS))


def score(fit: ClassDirections, activations: Activations) -> NDArray[np.float64]:
    """Return max_c softmax_c cos(h, mu_c), shape [n]."""
    return largest_softmax(cosines(fit, activations))


DETECTOR = Detector(
    name="rcos",
    title="RCos",
    formula="max_c softmax(cos(h, mu) / T)_c",
    source="Bitterwolf, Mueller & Hein 2023, arXiv 2306.00826",
    score=score,
    fit=fit,
    fit_type=ClassDirections,
    fitted_on="fit features and labels",
    needs=(CLASS_STATISTICS,),
    hyperparameters=MappingProxyType({"temperature": 1.0}),
)
