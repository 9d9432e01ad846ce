"""Divergence of the softmax from the mean softmax of samples with the same prediction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import Detector, FitInputs, on_validation_data
from analysis.detectors.logits.softmax import negative_entropy
from analysis.statistics.group_means import PREDICTED_PROBABILITIES, VALIDATION_PREDICTED_PROBABILITIES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.statistics.statistic import Statistic


@dataclass(frozen=True, slots=True, eq=False)
class TemplateFit:
    """Mean distributions by predicted class.

    Attributes:
        log_templates: log d_k of each class k that is ever predicted, float64, shape [K, C]; a probability below the
            smallest normal float64 counts as that.
    """

    log_templates: NDArray[np.float64]


def fit(inputs: FitInputs, statistic: Statistic) -> TemplateFit:
    """Take the mean softmax of the samples by predicted class; classes that are never predicted have none."""
    gathered = inputs.need(statistic)
    templates = gathered["means"][gathered["counts"] > 0]
    return TemplateFit(np.log(np.maximum(templates, np.finfo(np.float64).tiny)))


def score(fit: TemplateFit, activations: Activations) -> NDArray[np.float64]:
    """Return -min_k sum_c p_c log(p_c / d_kc), shape [n]."""
    cross = activations.probabilities @ fit.log_templates.T
    return np.asarray(cross.max(axis=1) - negative_entropy(None, activations))


KL_MATCHING = Detector(
    name="kl-matching",
    title="KL-Matching",
    formula="-min_k KL(p || d_k), d_k = mean p over the samples predicted as k",
    source="Hendrycks et al. 2022, arXiv 1911.11132",
    score=score,
    fit=partial(fit, statistic=PREDICTED_PROBABILITIES),
    fitted_on="fit logits",
    needs=(PREDICTED_PROBABILITIES,),
    needs_logits=True,
    needs_features=False,
)

OPENOOD_KL_MATCHING = on_validation_data(KL_MATCHING, VALIDATION_PREDICTED_PROBABILITIES)
