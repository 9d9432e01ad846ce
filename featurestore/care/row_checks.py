"""What the rows of one table must satisfy with those of another, and digests: each check looks at a block of rows and says what is wrong, or None."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.layout import head_input
from featurestore.partitions.encoding import to_numpy
from featurestore.partitions.row_rules import row_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from featurestore.partitions.row_rules import Check


def labelled_as(labels: NDArray[np.int64]) -> Check:
    """Samples are of the dataset, and have its labels.

    Args:
        labels: The dataset's labels by sample; -1 where there is none.
    """

    def check(rows: pa.RecordBatch) -> str | None:
        samples, found = to_numpy(rows.column("sample")), to_numpy(rows.column("label"))
        outside = (samples < 0) | (samples >= len(labels))
        if outside.any():
            return f"sample {samples[np.argmax(outside)]} is none of the dataset's {len(labels):,}"
        wrong = np.flatnonzero(labels[samples] != found)
        if not len(wrong):
            return None
        sample = samples[wrong[0]]
        return f"sample {sample} has the label {_label(found[wrong[0]])}, but {_label(labels[sample])} in `samples`"

    return check


def computed_by(weight: NDArray[Any], bias: NDArray[Any], *, normalize: bool = False) -> Check:
    """The logits are those that the head computes from the features, within what rounding explains.

    Args:
        weight: The head's, shape [C, D].
        bias: The head's, shape [C].
        normalize: Whether the head is fed the features at unit length.
    """
    weight, bias = weight.astype(np.float64), bias.astype(np.float64)

    def check(rows: pa.RecordBatch) -> str | None:
        feature, logits = to_numpy(rows.column("feature")), to_numpy(rows.column("logits"))
        if feature.shape[1] != weight.shape[1] or logits.shape[1] != len(weight):
            return f"{feature.shape[1]} features and {logits.shape[1]} logits do not fit a head of {list(weight.shape)}"
        # What is not finite is told by another check.
        with np.errstate(invalid="ignore"):
            expected = head_input.fed(feature.astype(np.float64), normalize=normalize) @ weight.T + bias
            tolerance = head_tolerance(feature, logits, weight, bias, normalize=normalize)
            wrong = np.abs(logits - expected) > tolerance
        if not wrong.any():
            return None
        at = np.unravel_index(np.argmax(wrong), wrong.shape)
        return (
            f"logit {at[1]} of {row_name(rows, int(at[0]))} is {logits[at]:.6g}, but the head gives {expected[at]:.6g} "
            f"(tolerance {tolerance[at]:.2g})"
        )

    return check


def head_tolerance(
    feature: NDArray[Any],
    logits: NDArray[Any],
    weight: NDArray[np.float64],
    bias: NDArray[np.float64],
    *,
    normalize: bool = False,
) -> NDArray[np.float64]:
    """The largest difference between stored logits and weight @ feature + bias that rounding explains.

    With u the unit roundoff and s half the smallest subnormal of a stored precision, and v the unit roundoff of
    float32, in which the head was computed: storing moves a feature by at most u|h| + s and a logit by u|z| + s, and
    the sum of D products and a bias, in any order, is off by at most (D + 2) v (|w||h| + |b|) (Higham 2002, section
    3.1). Cauchy and Schwarz bound |w||h| by the norms, and the sum of |w| by sqrt(D) ||w||:

        |z - (w h + b)| <= (u_h + (D + 2) v) ||w|| ||h|| + (D + 2) v |b| + u_z |z| + s_h sqrt(D) ||w|| + s_z,

    times 1.01 for the terms of second order. Of a head that is fed h / |h|, a change d of h moves what it is fed by at
    most 2 |d| / |h|: then twice the terms of the feature, divided by |h|.

    Args:
        feature: As stored, shape [n, D].
        logits: As stored, shape [n, C].
        weight: Shape [C, D].
        bias: Shape [C].
        normalize: Whether the head is fed the features at unit length.

    Returns:
        Shape [n, C].
    """
    of_feature, of_logits = np.finfo(feature.dtype), np.finfo(logits.dtype)
    width = weight.shape[1]
    norms, summing = np.linalg.norm(weight, axis=1), (width + 2) * _roundoff(np.finfo(np.float32))
    lengths = np.linalg.norm(feature.astype(np.float64), axis=1)[:, None]
    moved = (_roundoff(of_feature) + summing) * lengths + _underflow(of_feature) * np.sqrt(width)
    scale = 2 / np.maximum(lengths, head_input.SHORTEST) if normalize else 1.0
    stored = _roundoff(of_logits) * np.abs(logits.astype(np.float64)) + _underflow(of_logits)
    return 1.01 * (moved * scale * norms + summing * np.abs(bias) + stored)  # type: ignore[no-any-return]


def digests(rows: pa.RecordBatch) -> str | None:
    """Digests are 32 hexadecimal digits, or missing."""
    matches = pc.match_substring_regex(rows.column("digest"), "^[0-9a-f]{32}$").fill_null(True)
    bad = ~matches.to_numpy(zero_copy_only=False)
    return f"the digest of {row_name(rows, int(np.argmax(bad)))} is no digest" if bad.any() else None


def _label(value: int) -> str:
    return "none" if value < 0 else str(value)


def _roundoff(precision: np.finfo[Any]) -> float:
    """Largest relative error of rounding to nearest."""
    return float(precision.eps) / 2


def _underflow(precision: np.finfo[Any]) -> float:
    """Largest absolute error of rounding to nearest, near zero."""
    return float(precision.smallest_subnormal) / 2
