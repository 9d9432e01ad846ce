"""Blocks of what a model says, with the derived quantities that detectors share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.rows.checks import all_finite, finite_rows, float_matrix
from analysis.rows.memo import Memo
from featurestore.errors import InputError, NumericalError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from analysis.rows.head import Head

# Squares between these are neither rounded to subnormal numbers nor near overflow.
_SMALLEST_SQUARE, _LARGEST_SQUARE = 1e-200, 1e200
_ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True, eq=False)
class Activations:
    """Features and logits of n samples; what detectors derive from them is computed once, in float64, and kept.

    Attributes:
        feature: Penultimate features as stored, any float dtype, shape [n, D].
        logits: Logits as stored, any float dtype, shape [n, C]; None where they are not kept.
        head: The model's final linear layer; None for a model without.
        memo: Results that several detectors share on this block.
    """

    feature: NDArray[Any]
    logits: NDArray[Any] | None = None
    head: Head | None = None
    memo: Memo = field(default_factory=Memo, init=False, repr=False)

    def __post_init__(self) -> None:
        float_matrix("Features", self.feature)
        if self.logits is None:
            return
        float_matrix("Logits", self.logits)
        if len(self.logits) != len(self.feature) or self.logits.shape[1] == 0:
            raise InputError(
                f"Logits of shape {list(self.logits.shape)} do not belong to features of {list(self.feature.shape)}."
            )

    def __len__(self) -> int:
        return len(self.feature)

    def part(self, which: slice | NDArray[np.int64], columns: Collection[str] = ("feature", "logits")) -> Activations:
        """Some rows, sharing nothing that is derived; a column that is left out is not there, but the rows' number is."""
        feature = self.feature[which]
        logits = self.logits[which] if self.logits is not None and "logits" in columns else None
        return Activations(feature if "feature" in columns else feature[:, :0], logits, self.head)

    def first_not_finite(self) -> tuple[str, int] | None:
        """The column, `feature` or `logits`, and the first row of it in which a value is NaN or infinite; None without."""
        for name, values in (("feature", self.feature), ("logits", self.logits)):
            if values is not None and not all_finite(values):
                return name, int(np.argmin(np.isfinite(values).all(axis=1)))
        if self.logits is not None:
            # Looked at, and not again.
            self.memo.get("finite_logits", lambda: self.logits)
        return None

    @property
    def feature64(self) -> NDArray[np.float64]:
        """Features h, float64, shape [n, D]; NumericalError where one is not finite."""
        return self.memo.get("feature64", lambda: _float64("Features", self.feature))

    @property
    def normalised64(self) -> NDArray[np.float64]:
        """Unit features h / ||h||_2, float64, shape [n, D]; NumericalError on a zero row."""
        return self.memo.get("normalised64", lambda: normalise(self.feature64))

    @property
    def head_input64(self) -> NDArray[np.float64]:
        """What the head is fed: unit features where it normalises, else the features, float64, shape [n, D]."""
        return self.fed(normalizes=self.head is not None and self.head.normalizes)

    def fed(self, *, normalizes: bool) -> NDArray[np.float64]:
        """What a head is fed that normalises, or one that does not, float64, shape [n, D]."""
        return self.normalised64 if normalizes else self.feature64

    def scaled(self, beta: float) -> NDArray[np.float64]:
        """Features h / ||h||_2^beta, float64, shape [n, D]: at 0 the features, at 1 those of unit length."""
        if beta in (0, 1):
            return self.fed(normalizes=bool(beta))
        return self.memo.get(("scaled", beta), lambda: self.normalised64 * self.norms[:, None] ** (1 - beta))

    @property
    def norms(self) -> NDArray[np.float64]:
        """Lengths ||h||_2, shape [n]."""
        return self.memo.get("norms", lambda: np.einsum("nd,nd->n", self.feature64, self.normalised64))

    @property
    def l1_norms(self) -> NDArray[np.float64]:
        """||x||_1 of what the head is fed, x, shape [n]."""
        return self.memo.get("l1_norms", lambda: np.abs(self.head_input64).sum(axis=1))

    def need_head(self) -> Head:
        """Return the head.

        Raises:
            InputError: There is none, or it is fed features of another dimension.
        """
        if self.head is None:
            raise InputError("These activations come without a linear head, whose weights this detector needs.")
        if self.head.weight.shape[1] != self.feature.shape[1]:
            raise InputError(
                f"The head is fed {self.head.weight.shape[1]} dimensions; these features have {self.feature.shape[1]}."
            )
        return self.head

    @property
    def logits64(self) -> NDArray[np.float64]:
        """Logits z, float64, shape [n, C]; InputError where the block has none, NumericalError if not finite."""
        return self.memo.get("logits64", lambda: self._finite_logits.astype(np.float64, copy=False))

    @property
    def max_logit(self) -> NDArray[np.float64]:
        """Largest logit, max_c z_c, shape [n]."""
        return self.memo.get("max_logit", lambda: self._finite_logits.max(axis=1).astype(np.float64))

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Predicted class, argmax_c z_c, the first of equal ones, shape [n]."""
        return self.memo.get("predicted", lambda: self._finite_logits.argmax(axis=1))

    @property
    def shifted_logits(self) -> NDArray[np.float64]:
        """Logits less the largest, z_c - max z, at most 0, shape [n, C]."""
        return self.memo.get("shifted_logits", lambda: self.logits64 - self.max_logit[:, None])

    @property
    def exponentials(self) -> NDArray[np.float64]:
        """exp(z_c - max z), shape [n, C]."""
        return self.memo.get("exponentials", lambda: np.exp(self.shifted_logits))

    @property
    def softmax_normaliser(self) -> NDArray[np.float64]:
        """Sum_c exp(z_c - max z), in [1, C] whatever the logits' scale, shape [n]."""
        return self.memo.get("softmax_normaliser", lambda: self.normaliser_at(1.0))

    def normaliser_at(self, temperature: float) -> NDArray[np.float64]:
        """Sum_c exp((z_c - max z) / T), shape [n]."""
        sums = np.empty(len(self))
        for rows, shifted in self.shifted_parts():
            scaled = shifted if temperature == 1 else np.divide(shifted, temperature, out=shifted)
            sums[rows] = np.exp(scaled, out=scaled).sum(axis=1)
        return sums

    def shifted_parts(self) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Yield z_c - max z of some rows at a time, so few that they stay near the processor; each overwrites the one before."""
        logits, largest = self._finite_logits, self.max_logit
        room = np.empty((min(_ROWS_AT_ONCE, len(logits)), logits.shape[1]))
        for start in range(0, len(logits), _ROWS_AT_ONCE):
            rows = slice(start, min(start + _ROWS_AT_ONCE, len(logits)))
            yield rows, np.subtract(logits[rows], largest[rows, None], out=room[: rows.stop - start])

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Softmax p of the logits, shape [n, C]."""
        return self.memo.get("probabilities", lambda: self.exponentials / self.softmax_normaliser[:, None])

    @property
    def log_sum_exp(self) -> NDArray[np.float64]:
        """Log sum_c exp(z_c), shape [n]."""
        return self.max_logit + np.log(self.softmax_normaliser)

    @property
    def _finite_logits(self) -> NDArray[Any]:
        return self.memo.get("finite_logits", self._checked_logits)

    def _checked_logits(self) -> NDArray[Any]:
        if self.logits is None:
            raise InputError("These activations hold no logits; read them with logits, or use a feature detector.")
        finite_rows("Logits", self.logits)
        return self.logits


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some rows of a dataset, in row order.

    Attributes:
        sample: Their numbers, int64, shape [n].
        label: Their classes, int64, shape [n]; -1 where there is none.
        activations: What the model says of them; what several statistics derive from them is computed once.
    """

    sample: NDArray[np.int64]
    label: NDArray[np.int64]
    activations: Activations

    def __len__(self) -> int:
        return len(self.sample)


def concatenated(parts: Sequence[Activations], head: Head | None) -> Activations:
    """The rows of several, at least one of them, in their order; without logits where none holds any."""
    logits = [part.logits for part in parts if part.logits is not None]
    return Activations(
        np.concatenate([part.feature for part in parts]), np.concatenate(logits) if logits else None, head
    )


def normalise(features: NDArray[Any]) -> NDArray[np.float64]:
    """Divide every row by its Euclidean norm: h / ||h||_2.

    Args:
        features: Any float dtype, shape [n, D].

    Returns:
        Unit rows, float64, shape [n, D].

    Raises:
        NumericalError: A row is zero, NaN or infinite, so that it has no direction.
    """
    float_matrix("Features", features)
    rows = features.astype(np.float64, copy=False)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        squares = np.einsum("nd,nd->n", rows, rows)
    if (squares > _SMALLEST_SQUARE).all() and (squares < _LARGEST_SQUARE).all():
        return np.asarray(rows / np.sqrt(squares)[:, None])
    finite_rows("Features", features)
    # Dividing by the largest entry first keeps the squares of very large and very small rows representable.
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0.0)
    if not largest.all():
        row = int(np.argmin(largest))
        raise NumericalError(
            f"Features row {row} of the block is zero and has no direction to normalise to; leave that sample out, "
            "or use detectors without normalisation."
        )
    rows = rows / largest
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows)


def log_sum_exp(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log sum_c exp(z_c), shape [n]; overwrites the logits, of shape [n, C]."""
    largest = logits.max(axis=1)
    logits -= largest[:, None]
    return np.asarray(largest + np.log(np.exp(logits, out=logits).sum(axis=1)))


def _float64(name: str, values: NDArray[Any]) -> NDArray[np.float64]:
    finite_rows(name, values)
    return values.astype(np.float64, copy=False)
