"""Density under the likeliest of the classes' own Gaussians."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from analysis.detectors.detector import Detector
from analysis.statistics.densities import JITTERS, class_densities

if TYPE_CHECKING:
    from analysis.rows.activations import Activations
    from analysis.statistics.statistic import Statistic


def compare(queries: Activations) -> Statistic:
    """Return max_c log N(h; mu_c, S_c), with divisor n_c - 1 and the first jitter that makes S_c positive definite."""
    return class_densities(queries, "gmm")


DETECTOR: Detector[None] = Detector(
    name="gmm",
    title="GMM",
    formula="max_c log N(h; mu_c, S_c + e I), e the first of 0, 1e-15, .. 1e-1 that makes it positive definite",
    source="Mukhoti et al. 2021, arXiv 2102.11582",
    compare=compare,
    fitted_on="fit features and labels",
    hyperparameters=MappingProxyType({"largest_jitter": JITTERS[-1]}),
    on_request=True,
)
