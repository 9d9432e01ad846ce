"""Any detector without a lake: fitted on arrays, and scoring arrays, by the code and with the numbers of a lake."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.algebra.blas import one_thread
from analysis.detectors.checked_scores import score_checked
from analysis.detectors.comparison import at_once, compare
from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.registry import get, is_known
from analysis.rows.activations import Activations
from analysis.rows.array_rows import array_rows, block_slices, check_finite
from analysis.rows.head import Head
from analysis.statistics.statistic import FIT, VALIDATION, SweepContext, with_earlier
from analysis.statistics.sweep import gather
from featurestore.errors import InputError, LakeError
from featurestore.machine import cores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from analysis.rows.array_rows import ArrayRows
    from analysis.statistics.statistic import Arrays
    from analysis.statistics.sweep import Blocks


_SCORED = "the rows to score"


@dataclass(frozen=True, slots=True, eq=False)
class FittedDetector:
    """A detector and what it has learned: all that scoring needs.

    It can be pickled: what it learned is then computed again, from the statistics.

    Attributes:
        detector: The detector.
        statistics: What it learned from, by name.
        context: What is known of the fit rows: their number, dimension, classes, precision, and the model's head.
        learned: What its `fit` returned; None where it has none.
        bank: The fit rows, of a detector that compares with each of them; else None.
        warnings: What the user should know of the fit, one sentence each.
    """

    detector: Detector[Any]
    statistics: Mapping[str, Arrays]
    context: SweepContext
    learned: Any
    bank: Blocks | None = None
    warnings: tuple[str, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        which = self.detector.name if is_known(self.detector) else self.detector
        return refitted, (which, dict(self.statistics), self.context, self.bank)

    def score(self, features: NDArray[Any] | None, logits: NDArray[Any] | None = None) -> NDArray[np.float64]:
        """Score samples; higher is more in-distribution.

        Args:
            features: Any float dtype, shape [n, D]. A detector of logits alone does not look at them, and None will do.
            logits: Any float dtype, shape [n, C]; may be left out where the detector reads none.

        Returns:
            Finite scores, float64, shape [n].

        Raises:
            InputError: The arrays are of other shapes than those of the fit, or the detector needs logits.
            NumericalError: An activation or a score is NaN or infinite; features that are not looked at may be.
        """
        head, dim = (self.context.head, self.context.dim) if self.detector.reads_features else (None, 0)
        seen = _features_read(self.detector, features, logits)
        rows = Activations(seen, None if logits is None else np.asarray(logits), head)
        _check_widths(rows, dim, self.context.classes, _SCORED)
        if self.detector.compare:
            check_finite(rows, _SCORED)
            return self._compared(rows)
        parts = block_slices(rows)
        limits = one_thread() if len(parts) >= cores() else nullcontext()
        with limits, ThreadPoolExecutor(min(cores(), len(parts)) or 1) as pool:
            return np.concatenate([np.empty(0), *pool.map(partial(self._scored, rows), parts)])

    def _scored(self, rows: Activations, which: slice) -> NDArray[np.float64]:
        part = rows.part(which)
        check_finite(part, _SCORED, range(which.start, which.stop))
        return score_checked(self.detector, self.learned, part)

    def _compared(self, rows: Activations) -> NDArray[np.float64]:
        """Scores against every fit row; as many samples at once as memory allows."""
        if self.detector.compare is None or self.bank is None:
            raise InputError(f"Detector {self.detector.name} compares with fit rows, and has none.")
        if self.detector.needs_logits and rows.logits is None:
            raise InputError(f"Detector {self.detector.name} needs logits: give them beside the features.")
        context = replace(self.context, results=self.statistics)
        step = at_once([self.detector], context)
        parts = [rows.part(slice(start, start + step)) for start in range(0, len(rows), step)]
        scores = [compare(self.bank, [self.detector], part, context)[self.detector.name] for part in parts]
        return np.concatenate([np.empty(0), *scores])


def fit_in_memory(
    detector: str | Detector[Any],
    features: NDArray[Any] | None,
    labels: NDArray[Any] | None = None,
    *,
    logits: NDArray[Any] | None = None,
    head: Head | tuple[NDArray[Any], NDArray[Any]] | None = None,
    validation: Sequence[NDArray[Any] | None] | None = None,
    memory: int = 1 << 30,
) -> FittedDetector:
    """Fit a detector on arrays; for equal rows, its scores are those that a lake would hold.

    Args:
        detector: Its name, `knn:k=50` for one with other constants, or a detector of one's own.
        features: Penultimate features of the fit set, any float dtype, shape [n, D]. Features of a lake are float32: their
            precision says which directions of a covariance are rounding. A detector of logits alone does not look at them, and
            None will do.
        labels: Classes of the fit set, integers in 0 .. C - 1, shape [n]; where they can be left out, detectors do without.
        logits: Their logits, any float dtype, shape [n, C].
        head: The model's final linear layer: weight [C, D] and bias [C], or a `Head`, which may say that it normalises.
        validation: `(features, labels, logits)` of ID samples apart, for the detectors that learn from those; the last ones may be
            left out.
        memory: Bytes that gathering should stay below.

    Returns:
        The fitted detector.

    Raises:
        MissingError: There is no detector of that name.
        InputError: Arrays do not belong together, or something is missing that this detector learns from.
        NumericalError: A value is NaN or infinite, or a class covariance is singular beyond mending.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = rng.integers(0, 3, 200)
        >>> features = np.eye(4)[labels] + 0.1 * rng.normal(size=(200, 4))
        >>> fitted = fit_in_memory("mahalanobis", features, labels)
        >>> fitted.score(np.array([[1.0, 0, 0, 0], [1, 1, 1, 1]])).round(1).argmax()
        np.int64(0)
    """
    chosen = get(detector) if isinstance(detector, str) else detector
    linear = _linear(head) if chosen.reads_features else None
    seen = _features_read(chosen, features, logits)
    rows = {FIT: array_rows("the fit rows", seen, labels, logits, linear)}
    if validation is not None:
        rows[VALIDATION] = _validation_rows(chosen, validation, linear)
    contexts = {kind: _context(of, rows, memory) for kind, of in rows.items()}
    for of in rows.values():
        _check_widths(of.activations, contexts[FIT].dim, contexts[FIT].classes, of.name)
    _check_given(chosen, rows)
    statistics: dict[str, Arrays] = {}
    for kind, of in rows.items():
        needs = {need.for_head(linear) for need in chosen.least_statistics if need.source == kind}
        statistics |= gather(of, needs, contexts[kind]) if needs else {}
    return refitted(chosen, statistics, contexts[FIT], rows[FIT] if chosen.compare else None)


def _linear(head: Head | tuple[NDArray[Any], NDArray[Any]] | None) -> Head | None:
    if head is None or isinstance(head, Head):
        return head
    weight, bias = head
    return Head(np.asarray(weight, np.float64), np.asarray(bias, np.float64))


def _features_read(detector: Detector[Any], features: NDArray[Any] | None, logits: NDArray[Any] | None) -> NDArray[Any]:
    """What a detector reads of features, shape [n, D]: nothing, of as many samples, where it is one of logits alone."""
    if features is not None:
        given = np.asarray(features)
        return given if detector.reads_features or given.ndim != 2 else given[:, :0]
    if detector.reads_features:
        raise InputError(f"Detector {detector.name} reads features: give them, not None.")
    if logits is None:
        raise InputError(f"Detector {detector.name} reads logits: give logits=.")
    return np.empty((len(logits), 0), np.float32)


def _validation_rows(
    detector: Detector[Any], validation: Sequence[NDArray[Any] | None], head: Head | None
) -> ArrayRows:
    features, labels, logits = [*validation, None, None][:3]
    seen = _features_read(detector, features, logits)
    return array_rows("the validation rows", seen, labels, logits, head)


def refitted(
    detector: str | Detector[Any], statistics: Mapping[str, Arrays], context: SweepContext, bank: Blocks | None
) -> FittedDetector:
    """A detector that learns from statistics that are there already.

    Args:
        detector: The detector, or its name.
        statistics: All that it needs, by name.
        context: What is known of the fit rows.
        bank: The fit rows, where the detector compares with each of them.

    Raises:
        MissingError: There is no detector of that name, or a statistic is not among them.
        InputError: It cannot learn from these.
        NumericalError: As `fit_in_memory`.
    """
    chosen = get(detector) if isinstance(detector, str) else detector
    inputs = FitInputs(statistics, context.head, context.dtype)
    try:
        # Several threads would decide on last digits.
        with one_thread() if chosen.fit else nullcontext():
            learned = chosen.fit_to(inputs)
    except LakeError as error:
        raise type(error)(f"Fitting {chosen.name}: {error}") from error
    return FittedDetector(chosen, statistics, context, learned, bank, tuple(dict.fromkeys(inputs.warnings)))


def _context(rows: ArrayRows, every: Mapping[str, ArrayRows], memory: int) -> SweepContext:
    """What is known of some rows; a model without head or logits has the classes of the labels."""
    activations = rows.activations
    head, logits = activations.head, activations.logits
    if head is not None:
        classes = len(head.bias)
    elif logits is not None:
        classes = logits.shape[1]
    else:
        classes = max(1, *(int(of.label.max()) + 1 for of in every.values()))
    dtype = str(activations.feature.dtype)
    return SweepContext(classes, activations.feature.shape[1], len(rows), dtype, head, memory)


def _check_given(detector: Detector[Any], rows: Mapping[str, ArrayRows]) -> None:
    """Raise if something is missing that a detector learns from or scores with."""
    fit = rows[FIT].activations
    for need in with_earlier(detector.statistics):
        if need.source not in rows:
            raise InputError(
                f"Detector {detector.name} learns from ID samples apart: give validation=(features, labels, logits)."
            )
        if "logits" in need.reads and rows[need.source].activations.logits is None:
            raise InputError(f"Detector {detector.name} learns from logits: {rows[need.source]} have none.")
    if detector.needs_head and fit.head is None:
        raise InputError(f"Detector {detector.name} needs the model's final linear layer: give head=(weight, bias).")
    if detector.needs_negatives and (fit.head is None or fit.head.negatives is None):
        raise InputError(
            f"Detector {detector.name} needs embeddings of negative labels: give head=Head(weight, bias, normalizes, negatives)."
        )
    if detector.compare and detector.needs_logits and fit.logits is None:
        raise InputError(f"Detector {detector.name} compares logits: {rows[FIT]} have none.")


def _check_widths(rows: Activations, dim: int, classes: int, name: str) -> None:
    """Raise if rows are of another dimension, or another number of classes, than the fit."""
    if rows.feature.shape[1] != dim:
        raise InputError(f"Features of {name} have {rows.feature.shape[1]} dimensions; expected {dim}, as of the fit.")
    if rows.head is not None and rows.head.weight.shape[1] != dim:
        raise InputError(f"The head is fed {rows.head.weight.shape[1]} dimensions; the features of {name} have {dim}.")
    if rows.logits is not None and rows.logits.shape[1] != classes:
        raise InputError(f"Logits of {name} have {rows.logits.shape[1]} classes; expected {classes}, as of the fit.")
