"""What detectors share that compare features with the features of a bank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.errors import InputError

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from analysis.rows.activations import Activations

_BYTES_AT_ONCE = 1 << 26


def chunks(rows: int, bank: int) -> list[slice]:
    """Stretches of rows whose float64 products with a bank take 64 MB each."""
    at_once = max(1, _BYTES_AT_ONCE // (8 * max(bank, 1)))
    return [slice(start, start + at_once) for start in range(0, rows, at_once)]


def check_dimensions(activations: Activations, bank: NDArray[Any]) -> None:
    """Raise if features and bank, shape [k, D], have different dimensions.

    Raises:
        InputError: They do.
    """
    if activations.feature.shape[1] != bank.shape[1]:
        raise InputError(
            f"Features of {activations.feature.shape[1]} dimensions meet a fit of {bank.shape[1]}; "
            "fit and score with activations of one model."
        )


def check_size(neighbours: int, bank: int, name: str) -> None:
    """Raise if a bank is too small to have so many neighbours.

    Raises:
        InputError: It is; names both numbers.
    """
    if bank < neighbours:
        raise InputError(
            f"{name} goes by the distance to the K = {neighbours} nearest samples, and its bank has only {bank}: "
            "extract a larger fit dataset, or use a variant with a smaller K."
        )
