"""Inner product with the mean feature of correctly classified samples of the predicted class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import Detector, FitInputs
from analysis.rows.checks import same_dimensions, seen_classes
from analysis.statistics.group_means import CORRECT_FEATURES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


@dataclass(frozen=True, slots=True, eq=False)
class PatternFit:
    """The patterns of the classes, with which features are compared.

    Attributes:
        patterns: Mean feature of the correctly classified fit samples of each class, float64, shape [C, D].
        counts: Their number, int64, shape [C].
    """

    patterns: NDArray[np.float64]
    counts: NDArray[np.int64]


def fit(inputs: FitInputs) -> PatternFit:
    """Take the mean feature of each class's correctly classified samples."""
    gathered = inputs.need(CORRECT_FEATURES)
    return PatternFit(gathered["means"], gathered["counts"])


def score(fit: PatternFit, activations: Activations) -> NDArray[np.float64]:
    """Return <h, S_y>, y the predicted class, shape [n].

    Raises:
        InputError: The features have other dimensions than the fit.
        NumericalError: No fit sample of a predicted class was classified correctly; names the class and the first such row.
    """
    same_dimensions(activations.feature, fit.patterns.shape[1])
    predicted = activations.predicted
    seen_classes(predicted, fit.counts, "of which no fit sample is classified correctly: she has no pattern", "she")
    return np.asarray(np.einsum("nd,nd->n", activations.feature64, fit.patterns[predicted]))


SHE = Detector(
    name="she",
    title="SHE",
    formula="<h, S_y>, S_c = mean h of the fit samples of class c that are classified correctly, y = argmax z",
    source="Zhang et al. 2023, ICLR, Out-of-Distribution Detection based on In-Distribution Data Patterns Memorization",
    score=score,
    fit=fit,
    fitted_on="fit features, logits and labels of samples that are classified correctly",
    needs=(CORRECT_FEATURES,),
    needs_logits=True,
)
