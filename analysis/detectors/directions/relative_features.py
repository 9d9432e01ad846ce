"""Distance from the mean feature of the predicted class, relative to the feature's size (CARef), and in two parts (CADRef)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import Detector, FitInputs
from analysis.rows.checks import same_dimensions, seen_classes
from analysis.statistics.group_means import PREDICTED_ENERGY, PREDICTED_FEATURES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


@dataclass(frozen=True, slots=True, eq=False)
class PredictedMeans:
    """The mean feature of the samples predicted as each class.

    Attributes:
        means: Mean of what the head is fed over the fit samples that are predicted as each class, float64, shape [C, D].
        counts: Their number, int64, shape [C].
    """

    means: NDArray[np.float64]
    counts: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class DecoupledFit:
    """The means, and the mean energy of all fit samples."""

    predicted: PredictedMeans
    energy: float


def fit(inputs: FitInputs) -> PredictedMeans:
    """Take the mean feature by predicted class."""
    gathered = inputs.need(PREDICTED_FEATURES)
    return PredictedMeans(gathered["means"], gathered["counts"])


def fit_decoupled(inputs: FitInputs) -> DecoupledFit:
    """Take the mean feature by predicted class, and the mean energy."""
    energies = inputs.need(PREDICTED_ENERGY)
    return DecoupledFit(fit(inputs), float(energies["counts"] @ energies["means"][:, 0] / energies["counts"].sum()))


def score(fit: PredictedMeans, activations: Activations) -> NDArray[np.float64]:
    """Return -||h - m_y||_1 / ||h||_1, y the predicted class, shape [n].

    Raises:
        InputError: The features have other dimensions than the fit.
        NumericalError: No fit sample is predicted as a class that a row is predicted as; names the class and the first such row.
    """
    away = _away(fit, activations, "caref")
    return np.asarray(-np.abs(away, out=away).sum(axis=1) / activations.l1_norms)


def score_decoupled(fit: DecoupledFit, activations: Activations) -> NDArray[np.float64]:
    """Return -(e+ / E(z) + e- / mean E) with E(z) = log sum_c exp(z_c), shape [n].

    Of the relative distance, e+ is the part of the entries in which h lies beyond m_y on the side that the weights of class y
    count for it, and e- that of the others.

    Raises:
        InputError: The features have other dimensions than the fit.
        NumericalError: As for `score`.
    """
    head = activations.need_head()
    away = _away(fit.predicted, activations, "cadref")
    away *= np.sign(head.weight)[activations.predicted]
    # Entries of weight zero are in neither part.
    forward = np.maximum(away, 0.0).sum(axis=1)
    backward = -np.minimum(away, 0.0, out=away).sum(axis=1)
    return np.asarray(-(forward / activations.log_sum_exp + backward / fit.energy) / activations.l1_norms)


def _away(fit: PredictedMeans, activations: Activations, name: str) -> NDArray[np.float64]:
    """What the head is fed less the mean of the predicted class, shape [n, D]."""
    same_dimensions(activations.feature, fit.means.shape[1])
    predicted = activations.predicted
    seen_classes(predicted, fit.counts, f"as which no fit sample is predicted: {name} has no mean", name)
    return np.asarray(activations.head_input64 - fit.means[predicted])


CAREF = Detector(
    name="caref",
    title="CARef",
    formula="-||h - m_y||_1 / ||h||_1, m_c = mean h of the fit samples predicted as class c, y = argmax z",
    source="Ling et al. 2025, arXiv 2503.00325",
    score=score,
    fit=fit,
    fitted_on="fit features and logits",
    needs=(PREDICTED_FEATURES,),
    needs_logits=True,
    needs_head=True,
)

CADREF = Detector(
    name="cadref",
    title="CADRef",
    formula=(
        "-(sum_d max(0, s_d) / E(z) + sum_d max(0, -s_d) / mean E) / ||h||_1, s = (h - m_y) sign(w_y), "
        "E(z) = log sum_c exp(z_c), m_c = mean h of the fit samples predicted as class c, y = argmax z"
    ),
    source="Ling et al. 2025, arXiv 2503.00325, with the energy as the score of the logits",
    score=score_decoupled,
    fit=fit_decoupled,
    fitted_on="fit features and logits",
    needs=(PREDICTED_FEATURES, PREDICTED_ENERGY),
    needs_logits=True,
    needs_head=True,
)
