"""What every number must satisfy before it enters a statistic, a detector or a metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from featurestore.errors import InputError, NumericalError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


_EXPONENT16 = np.uint16(0x7C00)


def float_matrix(name: str, values: NDArray[Any]) -> None:
    """Require a two-dimensional floating-point array.

    Raises:
        InputError: `values` has another shape or dtype.
    """
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.floating):
        raise InputError(
            f"{name} must be a float array of shape [rows, columns]; got {values.dtype} of shape {list(values.shape)}."
        )


def same_dimensions(features: NDArray[Any], dim: int) -> None:
    """Require features, shape [n, D], of as many dimensions as a fit has.

    Raises:
        InputError: They have others; names both numbers.
    """
    if features.ndim != 2 or features.shape[1] != dim:
        raise InputError(
            f"Features of {features.shape[-1]} dimensions meet a fit of {dim}; fit and score with activations of one model."
        )


def seen_classes(predicted: NDArray[np.int64], counts: NDArray[np.int64], lack: str, name: str) -> None:
    """Require that a fit has samples for every predicted class.

    Args:
        predicted: Predicted classes, shape [n].
        counts: Fit samples of each class, int64, shape [C].
        lack: What it means that there are none, after "class 3,".
        name: The detector's name.

    Raises:
        NumericalError: A class has none; names it and the first such row of the block.
    """
    lacking = counts[predicted] == 0
    if lacking.any():
        row = int(np.argmax(lacking))
        raise NumericalError(
            f"Row {row} of the block is predicted as class {predicted[row]}, {lack} to compare it with; "
            f"add fit samples, or leave {name} out."
        )


def finite_rows(name: str, values: NDArray[Any]) -> None:
    """Require that no row holds NaN or infinity.

    Raises:
        NumericalError: A value is not finite; names the first such row of the block.
    """
    if all_finite(values):
        return
    finite = np.isfinite(values)
    row = int(np.argwhere(~finite)[0, 0])
    raise NumericalError(
        f"{name} row {row} of the block holds NaN or infinity; extract that sample again, or leave it out."
    )


def all_finite(values: NDArray[Any]) -> bool:
    """Whether no value is NaN or infinite."""
    if values.dtype == np.float16 and values.flags.c_contiguous:
        # An exponent of ones, looked for in the bit patterns: numpy converts each float16 first, which takes ten times as long.
        return not bool(((values.view(np.uint16) & _EXPONENT16) == _EXPONENT16).any())
    if values.flags.c_contiguous:
        # One look at each value: the sum of squares is finite only if all of them are. It overflows for some that are as well.
        flat = values.reshape(-1)
        if np.isfinite(np.vdot(flat, flat)):
            return True
    return bool(np.isfinite(values).all())


def class_labels(labels: NDArray[Any], rows: int, num_classes: int) -> NDArray[np.int64]:
    """Require one class index per row, each in `0 .. num_classes - 1`.

    Args:
        labels: Class indices, any integer dtype, shape [rows].
        rows: Number of samples that the labels belong to.
        num_classes: Number of classes.

    Returns:
        The labels as int64, shape [rows].

    Raises:
        InputError: Wrong shape or dtype, or a label outside the range; names the first such row.
    """
    if labels.shape != (rows,) or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"Labels must be {rows} integers, one per row; got {labels.dtype} of shape {list(labels.shape)}."
        )
    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        row = int(np.argmax(outside))
        raise InputError(
            f"Label {labels[row]} in row {row} of the block is outside 0..{num_classes - 1}; "
            "check the dataset's labels against the model's classes."
        )
    return labels.astype(np.int64, copy=False)


def score_vector(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Require at least one score and no NaN or infinity, and return the scores as float64, shape [n].

    Raises:
        InputError: Not one-dimensional, or empty.
        NumericalError: A score is not finite; names the first such position.
    """
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or scores.size == 0:
        raise InputError(f"{name} must be a non-empty list of numbers; got shape {list(scores.shape)}.")
    finite_rows(name, scores)
    return scores
