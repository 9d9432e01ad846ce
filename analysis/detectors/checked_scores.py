"""Scores that are vouched for: one number for each sample, and each of them finite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from featurestore.errors import InputError, NumericalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.detectors.detector import Detector
    from analysis.rows.activations import Activations


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
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        scores = detector.score_block(fit, activations)
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
