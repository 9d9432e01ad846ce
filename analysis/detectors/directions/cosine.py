"""Cosine to the nearest class mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.directions.class_directions import ClassDirections, cosines, mean_directions
from analysis.statistics.class_statistics import CLASS_STATISTICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


def fit(inputs: FitInputs) -> ClassDirections:
    """Take the directions of the class means."""
    return mean_directions(inputs.class_statistics(CLASS_STATISTICS))


def score(fit: ClassDirections, activations: Activations) -> NDArray[np.float64]:
    """Return max_c cos(h, mu_c), shape [n]."""
    return np.asarray(cosines(fit, activations).max(axis=1))


DETECTOR = Detector(
    name="cosine",
    title="Cosine",
    formula="max_c cos(h, mu_c)",
    source="Bitterwolf, Mueller & Hein 2023, arXiv 2306.00826",
    score=score,
    fit=fit,
    fit_type=ClassDirections,
    fitted_on="fit features and labels",
    needs=(CLASS_STATISTICS,),
)
