"""Cosines between features and the directions of classes: those of mean features (Cosine, RCos), and of weights (CTM, SSC, MCM)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from analysis.algebra.class_scatter import require_samples
from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.rows.checks import same_dimensions
from analysis.statistics.class_statistics import CLASS_MEANS
from featurestore.errors import NumericalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


@dataclass(frozen=True, slots=True, eq=False)
class ClassDirections:
    """Unit vectors along the mean features of the classes that have samples, float64, shape [K, D]."""

    directions: NDArray[np.float64]


def fit(inputs: FitInputs) -> ClassDirections:
    """Take the directions of the class means, once for all detectors that share `inputs`.

    Raises:
        InputError: The statistics hold no samples.
        NumericalError: A class has mean zero.
    """
    return inputs.memo.get("class-directions", lambda: _of_means(inputs))


def _of_means(inputs: FitInputs) -> ClassDirections:
    statistics = inputs.class_means(CLASS_MEANS)
    require_samples(statistics)
    seen = np.flatnonzero(statistics.counts)
    return ClassDirections(unit_rows(statistics.means[seen], seen, "mean feature of class"))


def unit_rows(rows: NDArray[np.float64], classes: NDArray[np.int64], what: str) -> NDArray[np.float64]:
    """Rows divided by their norms, shape [K, D]; NumericalError names one that is zero."""
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0.0)
    if not largest.all():
        number = int(classes[np.argmin(largest)])
        raise NumericalError(
            f"The {what} {number} is zero and has no direction to compare with; leave this detector out."
        )
    # Dividing by the largest entry first keeps the squares of very large and very small rows representable.
    scaled = rows / largest
    return np.asarray(scaled / np.linalg.norm(scaled, axis=1, keepdims=True))


def cosines_with(fit: ClassDirections, activations: Activations) -> NDArray[np.float64]:
    """Cosines of features and directions, float64, shape [n, K], computed once per block for detectors of equal fits."""
    same_dimensions(activations.feature, fit.directions.shape[1])
    return activations.memo.get(("cosines", fit), lambda: activations.normalised64 @ fit.directions.T)


def cosine(fit: ClassDirections, activations: Activations) -> NDArray[np.float64]:
    """Return max_c cos(h, mu_c), shape [n]."""
    return np.asarray(cosines_with(fit, activations).max(axis=1))


def relative_cosine(fit: ClassDirections, activations: Activations, *, temperature: float) -> NDArray[np.float64]:
    """Return max_c softmax_c cos(h, mu_c) / T = 1 / sum_c exp((cos(h, mu_c) - max) / T), shape [n]."""
    values = cosines_with(fit, activations)
    return np.asarray(1 / np.exp((values - values.max(axis=1, keepdims=True)) / temperature).sum(axis=1))


def weight_cosine(_fit: None, activations: Activations) -> NDArray[np.float64]:
    """Return max_c cos(h, w_c), shape [n]; NumericalError where a class has weights of zero."""
    return cosine(weight_directions(activations), activations)


def relative_weight_cosine(_fit: None, activations: Activations, *, temperature: float) -> NDArray[np.float64]:
    """Return max_c softmax_c cos(h, w_c) / T, shape [n]; NumericalError where a class has weights of zero."""
    return relative_cosine(weight_directions(activations), activations, temperature=temperature)


def weight_directions(activations: Activations) -> ClassDirections:
    """Unit vectors along the weights of the classes; NumericalError names a class whose weights are zero."""
    head = activations.need_head()
    classes = np.arange(len(head.weight))
    return head.memo.get(
        "weight-directions", lambda: ClassDirections(unit_rows(head.weight, classes, "weight vector of class"))
    )


COSINE = Detector(
    name="cosine",
    title="Cosine",
    formula="max_c cos(h, mu_c)",
    source="Bitterwolf, Mueller & Hein 2023, arXiv 2306.00826",
    score=cosine,
    fit=fit,
    fitted_on="fit features and labels",
    needs=(CLASS_MEANS,),
)

RCOS = replace(
    COSINE,
    name="rcos",
    title="RCos",
    formula="max_c softmax(cos(h, mu))_c",
    score=partial(relative_cosine, temperature=1.0),
)

CTM: Detector[None] = Detector(
    name="ctm",
    title="CTM",
    formula="max_c cos(h, w_c)",
    source="Ngoc-Hieu et al. 2023, arXiv 2306.14920, whose means (as in cosine) are weights in arXiv 2511.11934 and here",
    score=weight_cosine,
    needs_head=True,
)

SSC = replace(
    CTM,
    name="ssc",
    title="SSC",
    formula="max_c softmax(cos(h, w) / T)_c; of text embeddings w, MCM",
    source="Techapanurak, Suganuma & Okatani 2020, arXiv 1905.10628, at temperature 1",
    score=relative_weight_cosine,
    hyperparameters=(Hyperparameter("temperature", 1.0, 1e-3, 1e3, "T: what cosines are divided by", unstated=True),),
)
