"""Numbers of simulated models: FPR of three detectors, accuracy and geometry, those of one checkpoint correlated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from benchmarks.simulated.designs import Design

Truth: TypeAlias = Literal["none", "effects", "related", "confounded"]
"""What holds: nothing; recipes and detectors have effects; accuracy and a measure go with FPR; both differ by pretraining alone."""
TRUTHS: tuple[Truth, ...] = ("none", "effects", "related", "confounded")
DETECTORS = ("mahalanobis", "max-logit", "relative-mahalanobis")
FIRST = "mahalanobis"
"""The one that is better where there are effects."""
SPREAD = 0.05
"""Standard deviation of the FPR over models of one recipe."""
BEST = -0.03
"""What its FPR is lower by where there are effects."""
CORRELATION = -0.6
"""Of FPR with accuracy, and with the first measure of geometry, where they are related."""
SHIFT = 2.0
"""What pretrainings lie apart by in standard deviations, where they confound."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Numbers of models, for each draw.

    Attributes:
        fpr95: (draws, detectors, models).
        accuracy: (draws, models).
        geometry: (measures, models); the same for all draws.
        expected: The FPR without any noise, (detectors, models).
    """

    fpr95: np.ndarray
    accuracy: np.ndarray
    geometry: np.ndarray
    expected: np.ndarray


def draw(  # noqa: PLR0917 # each is one thing
    generator: np.random.Generator, design: Design, truth: Truth, draws: int, alike: float, measures: int
) -> Drawn:
    """Draw numbers for a pool.

    Args:
        generator: The source of randomness.
        design: The pool.
        truth: What holds.
        draws: How many lakes.
        alike: The correlation of two finetunes of one checkpoint, from 0 to 1.
        measures: How many measures of geometry.
    """

    def noise(*shape: int) -> np.ndarray:
        """Unit normals, (*shape, models), of which those of one checkpoint are correlated."""
        of_checkpoint = generator.standard_normal((*shape, design.checkpoints.max() + 1))[..., design.checkpoints]
        own = generator.standard_normal((*shape, len(design.models)))
        return np.sqrt(alike) * of_checkpoint + np.sqrt(1 - alike) * own

    accuracy, geometry = noise(draws), noise(measures)
    rest = (noise(draws, 1) + noise(draws, len(DETECTORS))) / np.sqrt(2)
    means = np.full((len(DETECTORS), len(design.models)), 0.5)
    if truth == "effects":
        means += design.effects
        means[DETECTORS.index(FIRST)] += BEST
    elif truth == "related":
        related = CORRELATION * (accuracy[:, None] + geometry[0])
        rest = related + np.sqrt(1 - 2 * CORRELATION**2) * rest
    elif truth == "confounded":
        accuracy, geometry, rest = (part + SHIFT * design.groups for part in (accuracy, geometry, rest))
    return Drawn(means + SPREAD * rest, 0.8 + 0.02 * accuracy, geometry, means)
