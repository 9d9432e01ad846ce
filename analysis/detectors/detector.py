"""What a detector is: a description, and two pure functions, fit and score."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from analysis.algebra.class_scatter import ClassMeans, ClassStatistics
from analysis.detectors.hyperparameter import written
from analysis.rows.memo import Memo
from analysis.statistics.statistic import with_earlier
from featurestore.errors import InputError, MissingError
from featurestore.names import VARIANT, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from analysis.detectors.hyperparameter import Constant, Hyperparameter
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
        name = statistic.for_head(self.head).name
        if name not in self.statistics:
            have = ", ".join(sorted(self.statistics)) or "none"
            raise MissingError(f"Fitting needs the statistics {name!r}; collected are: {have}.")
        return self.statistics[name]

    def class_statistics(self, statistic: Statistic) -> ClassStatistics:
        """Return one of the statistics of `analysis.statistics.class_statistics`, rebuilt once."""
        key = ("class-statistics", statistic.for_head(self.head).name)
        return self.memo.get(key, lambda: ClassStatistics.from_arrays(self.need(statistic)))

    def class_means(self, statistic: Statistic) -> ClassMeans:
        """Return means by class, from the statistic that holds them and more where that is there."""
        whole = statistic.within
        if whole is not None and whole.for_head(self.head).name in self.statistics:
            return self.class_statistics(whole)
        arrays = self.need(statistic)
        return ClassMeans(arrays["counts"], arrays["means"])

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

    `score`, `fit`, `compare` and `needs` are given, by name, exactly the constants that their signatures name.

    Attributes:
        name: Slug that names it everywhere; the other convention's is `NAME.openood`, and a variant's `NAME@k=50`.
        title: Name as a paper would print it.
        formula: The score, in plain text.
        source: Where it was proposed.
        score: Maps (fit, activations) to scores, float64, shape [n]; the fit is None where `fit` is None.
        fit: Learns from what was gathered; None where there is nothing to learn.
        fit_type: What `fit` returns; need not be said any more, and keeps its place for the plugins that say it.
        fitted_on: What `fit` sees, in words.
        needs: The statistics that `fit` reads, or a function of constants that returns them.
        compare: In place of `score`, for detectors that compare samples with every fit sample: given the samples to score,
            a statistic of the fit dataset whose only array is `score`, float64, shape [n].
        needs_logits: Whether `score` reads logits.
        needs_features: Whether `score` reads features; where it says no, and the statistics read none, none are asked for.
        needs_head: Whether `fit` or `score` reads the head: its weights, or whether there is one and it normalises.
        needs_negatives: Whether `score` reads the head's embeddings of negative labels, which few heads have.
        stands_in: Whether it is scored by default in the place of the one whose name it carries, which costs too much for that.
        hyperparameters: Constants of the formula.
        convention: Whose fit data and constants these are: `ninco` or `openood`.
        on_request: Whether it is left out unless it is asked for by name: the cost is far above that of the others,
            or it needs what few models have.
        version: Raised whenever its numbers change, so that stored scores become stale.
        chosen: What a variant has in place of defaults; `with_values` makes variants.
    """

    name: str
    title: str
    formula: str
    source: str
    score: Callable[..., NDArray[np.float64]] | None = None
    fit: Callable[..., Fit] | None = None
    fit_type: type[Fit] | None = None
    fitted_on: str = "none"
    needs: tuple[Statistic, ...] | Callable[..., tuple[Statistic, ...]] = ()
    compare: Callable[..., Statistic] | None = None
    needs_logits: bool = False
    needs_head: bool = False
    needs_features: bool = field(default=True, kw_only=True)
    needs_negatives: bool = field(default=False, kw_only=True)
    stands_in: bool = field(default=False, kw_only=True)
    hyperparameters: tuple[Hyperparameter, ...] = ()
    convention: str = NINCO
    on_request: bool = False
    version: int = 1
    chosen: Mapping[str, Constant] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what would let a label say what no number shows.

        Raises:
            InputError: A constant is declared that none of the functions reads, or a variant has another name than its values give it.
        """
        if isinstance(self.hyperparameters, Mapping):
            raise InputError(
                f"Detector {self.name} gives hyperparameters as a mapping, which nothing reads: declare each as a "
                "`Hyperparameter(name, default, low, high, meaning)`, and name it among the arguments of the function that uses it."
            )
        functions = ((self.score, 2), (self.fit, 1), (self.compare, 1), (self.needs, 0))
        read = {name for function, given in functions if callable(function) for name in _arguments(function, given)}
        unread = [one.name for one in self.hyperparameters if one.name not in read]
        if unread:
            raise InputError(
                f"Detector {self.name} declares the constant {unread[0]}, which none of its functions takes as an argument: "
                "name it in the signature of `score`, `fit`, `compare` or `needs`, or leave it out."
            )
        if self.name != self._named(self.chosen):
            raise InputError(
                f"The name of {self.base} with these values is {self._named(self.chosen)}, not {self.name}."
            )

    @property
    def base(self) -> str:
        """Name of the detector with its defaults."""
        return self.name.partition(VARIANT)[0]

    @property
    def values(self) -> Mapping[str, Constant]:
        """The constants that count, by name."""
        found = {one.name: self.chosen.get(one.name, one.default) for one in self.hyperparameters}
        return MappingProxyType(found)

    def with_values(self, **values: object) -> Detector[Fit]:
        """The variant of this detector with other constants: itself where they are the defaults.

        Args:
            values: Constants by name, numbers or texts that say them.

        Raises:
            MissingError: It has no such constant; suggests the nearest.
            InputError: A value is of the wrong kind or out of bounds; says which are allowed.
        """
        declared = {one.name: one for one in self.hyperparameters}
        for name in values:
            if name not in declared:
                what = nearest(name, declared) if declared else "it has none."
                raise MissingError(f"{self.base} has no constant {name!r}: {what}")
        wanted = {**self.chosen, **{name: declared[name].checked(value, self.base) for name, value in values.items()}}
        chosen = {name: wanted[name] for name in declared if name in wanted and wanted[name] != declared[name].default}
        return replace(self, name=self._named(chosen), chosen=MappingProxyType(chosen))

    def _named(self, chosen: Mapping[str, Constant]) -> str:
        listed = ",".join(f"{name}={written(value)}" for name, value in chosen.items() if value is not None)
        return f"{self.base}{VARIANT}{listed}" if listed else self.base

    @property
    def least_statistics(self) -> tuple[Statistic, ...]:
        """The least that it learns from."""
        return self.needs(**self._read_by(self.needs, 0)) if callable(self.needs) else self.needs

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """The statistics that it learns from, as a lake stores them: those that hold the least, and serve others too."""
        return tuple(need.within or need for need in self.least_statistics)

    def fit_to(self, inputs: FitInputs) -> Fit | None:
        """What it learns; None where there is nothing to learn."""
        return self.fit(inputs, **self._read_by(self.fit, 1)) if self.fit else None

    def score_block(self, fit: Fit | None, activations: Activations) -> NDArray[np.float64]:
        """Scores of a block, unchecked: `score_checked` vouches for them.

        Raises:
            InputError: It compares, and cannot score a block alone.
        """
        if self.score is None:
            raise InputError(f"Detector {self.name} compares with every fit sample, and cannot score a block alone.")
        return self.score(fit, activations, **self._read_by(self.score, 2))

    def compare_with_all(self, queries: Activations) -> Statistic:
        """The statistic of the fit dataset that holds the scores of some samples.

        Raises:
            InputError: It does not compare.
        """
        if self.compare is None:
            raise InputError(f"Detector {self.name} scores block by block, and compares with no fit sample.")
        return self.compare(queries, **self._read_by(self.compare, 1))

    def _read_by(self, function: Callable[..., Any], given: int) -> dict[str, Constant]:
        values = self.values
        return {name: values[name] for name in _arguments(function, given) if name in values}

    @property
    def reads_features(self) -> bool:
        """Whether it needs features, to learn or to score."""
        learns_from = any("feature" in need.reads for need in with_earlier(self.statistics))
        return self.needs_features or self.compare is not None or learns_from

    @property
    def reads_head(self) -> bool:
        """Whether it needs logits or the head, to learn or to score."""
        learns_from = any("logits" in need.reads for need in with_earlier(self.statistics))
        return self.needs_logits or self.needs_head or learns_from

    @property
    def learns(self) -> bool:
        """Whether it needs activations of the fit dataset, or of validation data."""
        return self.fit is not None or self.compare is not None


@lru_cache(maxsize=4096)
def _arguments(function: Callable[..., Any], given: int) -> tuple[str, ...]:
    """The arguments of a function after those that it is given by position."""
    return tuple(inspect.signature(function).parameters)[given:]


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
