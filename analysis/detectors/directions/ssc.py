"""Softmax of the cosines between feature and class weights."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import Detector
from analysis.detectors.directions.class_directions import ClassDirections, cosines, largest_softmax, unit_rows
from featurestore.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.rows.head import Head


def score(_fit: None, activations: Activations) -> NDArray[np.float64]:
    """Return max_c softmax_c cos(h, w_c), shape [n].

    Raises:
        NumericalError: A class has weights of zero.
    """
    head = activations.head
    if head is None:
        raise InputError("These activations come without the model's head, whose weights ssc needs.")
    return largest_softmax(cosines(head.memo.get("weight-directions", lambda: _directions(head)), activations))


def _directions(head: Head) -> ClassDirections:
    return ClassDirections(unit_rows(head.weight, np.arange(len(head.weight)), "weight vector"))


DETECTOR = Detector(
    name="ssc",
    title="SSC",
    formula="max_c softmax(cos(h, w) / T)_c",
    source="Techapanurak, Suganuma & Okatani 2020, arXiv 1905.10628",
    score=score,
    needs_head=True,
    hyperparameters=MappingProxyType({"temperature": 1.0}),
)
