"""What a detector is: a description, and two pure functions, fit and score."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from analysis.memo import Memo
from featurestore.errors import InputError, MissingError, NumericalError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from analysis.activations import Activations, Head
    from analysis.statistics import ClassStatistics

CLASS_STATISTICS = "class-statistics"
"""Class statistics of the features as they are."""

CLASS_STATISTICS_NORMALISED = "class-statistics-normalised"
"""Class statistics of the features divided by their norm."""

Fit = TypeVar("Fit")


@dataclass(frozen=True, slots=True, eq=False)
class FitInputs:
    """What detectors may learn from: statistics of the fit dataset, and the model's head.

    Attributes:
        statistics: Class statistics by name, at least those that the detectors to be fitted need.
        head: The final linear layer, where a detector needs it.
        memo: Fits that several detectors share, such as eigendecompositions.
    """

    statistics: Mapping[str, ClassStatistics]
    head: Head | None = None
    memo: Memo = field(default_factory=Memo, init=False, repr=False)

    def need(self, name: str) -> ClassStatistics:
        """Return the statistics called `name`.

        Raises:
            MissingError: They were not collected.
        """
        if name not in self.statistics:
            have = ", ".join(sorted(self.statistics)) or "none"
            raise MissingError(f"Fitting needs the statistics {name!r}; collected are: {have}.")
        return self.statistics[name]


@dataclass(frozen=True, slots=True, eq=False)
class Detector(Generic[Fit]):
    """A rule that gives each activation a score; higher is more in-distribution.

    Attributes:
        name: Slug that names it everywhere.
        title: Name as a paper would print it.
        formula: The score, in plain text.
        source: Where it was proposed.
        score: Maps (fit, activations) to scores, float64, shape [n]; the fit is None where `fit` is None.
        fit: Learns from the fit dataset; None where there is nothing to learn.
        fitted_on: What `fit` sees, in words.
        needs: Names of the statistics that `fit` reads.
        needs_logits: Whether `score` reads logits.
        hyperparameters: Constants of the formula, by name.
        assumes_nonnegative: Whether it presumes features after a ReLU; those of ViTs are signed.
        version: Raised whenever its numbers change, so that stored scores become stale.
    """

    name: str
    title: str
    formula: str
    source: str
    score: Callable[[Fit, Activations], NDArray[np.float64]]
    fit: Callable[[FitInputs], Fit] | None = None
    fitted_on: str = "none"
    needs: tuple[str, ...] = ()
    needs_logits: bool = False
    hyperparameters: Mapping[str, float | int | str] = field(default_factory=dict)
    assumes_nonnegative: bool = False
    version: int = 1


def score_checked(detector: Detector[Fit], fit: Fit, activations: Activations) -> NDArray[np.float64]:
    """Score a block, and vouch for the result.

    Args:
        detector: The rule.
        fit: What `detector.fit` returned; None for a detector without.
        activations: n samples.

    Returns:
        Finite scores, float64, shape [n].

    Raises:
        InputError: The detector needs logits and the block has none.
        NumericalError: A score is NaN or infinite; names the detector and the first such row.
    """
    if detector.needs_logits and activations.logits is None:
        raise InputError(f"Detector {detector.name} needs logits, and these activations hold none; read them as well.")
    with np.errstate(over="ignore", invalid="ignore"):
        scores = detector.score(fit, activations)
    if scores.shape != (len(activations),):
        raise NumericalError(
            f"Detector {detector.name} gave scores of shape {list(scores.shape)} for {len(activations)} samples."
        )
    finite = np.isfinite(scores)
    if not finite.all():
        row = int(np.argmin(finite))
        raise NumericalError(
            f"Detector {detector.name} scores row {row} of the block as {scores[row]}; "
            "check that activation, it may be too large for float64 arithmetic."
        )
    return scores
