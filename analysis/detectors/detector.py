"""What a detector is: a description, and two pure functions, fit and score."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from analysis.algebra.class_scatter import ClassStatistics
from analysis.rows.memo import Memo
from analysis.statistics.statistic import with_earlier
from featurestore.errors import InputError, MissingError, NumericalError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.rows.head import Head
    from analysis.statistics.statistic import Arrays, Statistic

NINCO, OPENOOD = "ninco", "openood"

Fit = TypeVar("Fit")


@dataclass(frozen=True, slots=True, eq=False)
class FitInputs:
    """What detectors may learn from: statistics of the fit or validation data, and the model's head.

    Attributes:
        statistics: Finished statistics by name, at least those that the detectors to be fitted need.
        head: The final linear layer; None for a model without.
        dtype: Precision in which the features of the fit dataset were stored.
        memo: Fits that several detectors share, such as eigendecompositions.
        warnings: What the user should know of these fits, one sentence each; detectors append to it.
    """

    statistics: Mapping[str, Arrays]
    head: Head | None = None
    dtype: str = "float64"
    memo: Memo = field(default_factory=Memo, init=False, repr=False)
    warnings: list[str] = field(default_factory=list, init=False, repr=False)

    def need(self, statistic: Statistic) -> Arrays:
        """Return the arrays of a statistic, or of what takes its place where the head normalises.

        Raises:
            MissingError: They were not gathered.
        """
        name = statistic.of(normalizes=self.normalizes).name
        if name not in self.statistics:
            have = ", ".join(sorted(self.statistics)) or "none"
            raise MissingError(f"Fitting needs the statistics {name!r}; collected are: {have}.")
        return self.statistics[name]

    def class_statistics(self, statistic: Statistic) -> ClassStatistics:
        """Return one of the statistics of `analysis.statistics.class_statistics`, rebuilt once."""
        key = ("class-statistics", statistic.of(normalizes=self.normalizes).name)
        return self.memo.get(key, lambda: ClassStatistics.from_arrays(self.need(statistic)))

    @property
    def normalizes(self) -> bool:
        """Whether the head is fed the feature at unit length."""
        return self.head is not None and self.head.normalizes

    def need_head(self) -> Head:
        """Return the head.

        Raises:
            MissingError: The model has none.
        """
        if self.head is None:
            raise MissingError("The model has no linear head: this detector needs its weights.")
        return self.head


@dataclass(frozen=True, slots=True, eq=False)
class Detector(Generic[Fit]):
    """A rule that gives each activation a score; higher is more in-distribution.

    Attributes:
        name: Slug that names it everywhere; the other convention's variant is `NAME.openood`.
        title: Name as a paper would print it.
        formula: The score, in plain text.
        source: Where it was proposed.
        score: Maps (fit, activations) to scores, float64, shape [n]; the fit is None where `fit` is None.
        fit: Learns from what was gathered; None where there is nothing to learn.
        fit_type: What `fit` returns; need not be said any more, and keeps its place for the plugins that say it.
        fitted_on: What `fit` sees, in words.
        needs: The statistics that `fit` reads.
        compare: In place of `score`, for detectors that compare samples with every fit sample: given the samples to score,
            a statistic of the fit dataset whose only array is `score`, float64, shape [n].
        needs_logits: Whether `score` reads logits.
        needs_head: Whether `fit` or `score` reads the head: its weights, or whether there is one and it normalises.
        hyperparameters: Constants of the formula, by name.
        convention: Whose fit data and constants these are: `ninco` or `openood`.
        on_request: Whether it is left out unless it is asked for by name: the cost is far above that of the others.
        version: Raised whenever its numbers change, so that stored scores become stale.
    """

    name: str
    title: str
    formula: str
    source: str
    score: Callable[[Fit, Activations], NDArray[np.float64]] | None = None
    fit: Callable[[FitInputs], Fit] | None = None
    fit_type: type[Fit] | None = None
    fitted_on: str = "none"
    needs: tuple[Statistic, ...] = ()
    compare: Callable[[Activations], Statistic] | None = None
    needs_logits: bool = False
    needs_head: bool = False
    hyperparameters: Mapping[str, float | int | str] = field(default_factory=dict)
    convention: str = NINCO
    on_request: bool = False
    version: int = 1

    @property
    def reads_head(self) -> bool:
        """Whether it needs logits or the head, to learn or to score."""
        learns_from = any("logits" in need.reads for need in with_earlier(self.needs))
        return self.needs_logits or self.needs_head or learns_from

    @property
    def learns(self) -> bool:
        """Whether it needs activations of the fit dataset, or of validation data."""
        return self.fit is not None or self.compare is not None


def on_validation_data(detector: Detector[Fit], statistic: Statistic) -> Detector[Fit]:
    """OpenOOD's variant of a detector whose `fit` takes a `statistic`: it learns from that of the validation rows."""
    fits: Any = detector.fit
    return replace(
        detector,
        name=f"{detector.name}.openood",
        fit=partial(fits, statistic=statistic),
        fitted_on=detector.fitted_on.replace("fit", "validation", 1),
        needs=(statistic,),
        convention=OPENOOD,
    )


def score_checked(detector: Detector[Any], fit: Any, activations: Activations) -> NDArray[np.float64]:
    """Score a block, and vouch for the result.

    Args:
        detector: The rule; not one that has `compare`.
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
    if detector.score is None:
        raise InputError(f"Detector {detector.name} compares with every fit sample, and cannot score a block alone.")
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        scores = detector.score(fit, activations)
    return finite_scores(detector.name, scores, len(activations))


def finite_scores(name: str, scores: NDArray[Any], rows: int) -> NDArray[np.float64]:
    """Require one finite score per row.

    Raises:
        NumericalError: The shape is another, or a score is NaN or infinite; names the detector and the first such row.
    """
    if scores.shape != (rows,):
        raise NumericalError(f"Detector {name} gave scores of shape {list(scores.shape)} for {rows} samples.")
    finite = np.isfinite(scores)
    if not finite.all():
        row = int(np.argmin(finite))
        raise NumericalError(
            f"Detector {name} scores row {row} of the block as {scores[row]}; "
            "check that activation, it may be too large for float64 arithmetic."
        )
    return scores
