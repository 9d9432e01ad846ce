"""Neural relation graph: how strongly the sample relates to all fit samples, by direction and by prediction."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from analysis.detectors.detector import Detector
from analysis.statistics.relations import relations

if TYPE_CHECKING:
    from analysis.rows.activations import Activations
    from analysis.statistics.statistic import Statistic

_THRESHOLD = 0.03


def compare(queries: Activations) -> Statistic:
    """Return sum_t k_t with k_t = relu(cos(h, h_t)) <p, p_t> where that exceeds 0.03."""
    return relations(queries, _THRESHOLD, "relation")


DETECTOR: Detector[None] = Detector(
    name="relation",
    title="Relation",
    formula="sum_t k_t where k_t > 0.03, k_t = relu(cos(h, h_t)) <p, p_t>, p = softmax(z)",
    source="Kim et al. 2023, arXiv 2301.12321",
    compare=compare,
    fitted_on="fit features and logits",
    needs_logits=True,
    hyperparameters=MappingProxyType({"power": 1.0, "threshold": _THRESHOLD}),
    on_request=True,
)
