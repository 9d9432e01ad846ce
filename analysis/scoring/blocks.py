"""Scores of a dataset's samples, block by block."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.algebra.blas import one_thread
from analysis.detectors.checked_scores import score_checked
from featurestore.errors import LakeError, NumericalError
from featurestore.machine import ahead, cores
from featurestore.progress import no_bar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from analysis.detectors import Detector
    from analysis.rows.activations import Block
    from analysis.rows.lake_rows import Read, Rows
    from featurestore.progress import Bars

    Scores = dict[str, NDArray[np.float64]]


def score_rows(
    rows: Rows, detectors: Sequence[Detector[Any]], fits: Mapping[str, Any], count: int, bars: Bars = no_bar
) -> tuple[NDArray[np.int64], Scores, dict[str, NumericalError]]:
    """Score a dataset in one pass, in as many threads as there are cores.

    Args:
        rows: Which activations.
        detectors: Detectors that score by the block.
        fits: What they learned, by name.
        count: Rows of the dataset.
        bars: Shows how far the work is.

    Returns:
        The samples, int64, shape [n]; their scores by detector, float64, shape [n]; and in place of those of a detector
        that cannot score all of them, why.

    Raises:
        NumericalError: An activation is NaN or infinite.
    """
    # Without a detector to score, the samples are still wanted.
    reads = rows.read(columns_of(detectors))
    threads = cores()
    # One block alone has all cores for its linear algebra; many blocks share them out.
    limits = one_thread() if len(reads) >= threads else nullcontext()
    found: list[tuple[NDArray[np.int64], Scores]] = []
    failed: dict[str, NumericalError] = {}
    bar = bars(f"{rows.model}: scores of {rows.dataset}", count)
    with bar as advance, limits, ThreadPoolExecutor(threads) as pool:
        for scored in ahead(pool, (partial(_score_block, rows, read, detectors, fits) for read in reads), threads):
            sample, scores, errors = scored
            found.append((sample, scores))
            failed = {**errors, **failed}
            advance(len(sample))
    samples = np.concatenate([np.empty(0, np.int64), *(sample for sample, _ in found)])
    whole = {
        detector.name: np.concatenate([np.empty(0), *(scores[detector.name] for _, scores in found)])
        for detector in detectors
        if detector.name not in failed
    }
    return samples, whole, failed


def columns_of(detectors: Sequence[Detector[Any]]) -> list[str]:
    """What detectors read of the rows that they score."""
    features = any(detector.needs_features or detector.compare for detector in detectors)
    logits = any(detector.needs_logits for detector in detectors)
    return [name for name, wanted in (("feature", features), ("logits", logits)) if wanted]


def _score_block(
    rows: Rows, read: Read, detectors: Sequence[Detector[Any]], fits: Mapping[str, Any]
) -> tuple[NDArray[np.int64], Scores, dict[str, NumericalError]]:
    block = read()
    rows.check_finite(block)
    scores: Scores = {}
    failed: dict[str, NumericalError] = {}
    for detector in detectors:
        try:
            scores[detector.name] = _checked(detector, fits[detector.name], block, rows)
        except NumericalError as error:
            failed[detector.name] = error
    return block.sample, scores, failed


def _checked(detector: Detector[Any], fit: Any, block: Block, rows: Rows) -> NDArray[np.float64]:
    try:
        return score_checked(detector, fit, block.activations)
    except LakeError as error:
        raise type(error)(f"Scoring {rows.model} on {rows.dataset} with {detector.name}: {error}") from error
