"""What a scoring job is asked for, what it works with, and what it says in the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from featurestore.errors import InputError
from featurestore.quantities import bytes_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.statistics.sweep import Gatherer

SMALLEST_MEMORY = 64_000_000
"""Bytes below which not even a few blocks of rows and their products fit."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What a user asked to score; an empty list means everything."""

    models: Sequence[str] = ()
    detectors: Sequence[str] = ()
    datasets: Sequence[str] = ()
    benchmark: str | None = None


@dataclass(frozen=True, slots=True)
class Means:
    """What a job works with: the bytes that gathering should stay below, and who gathers (by default threads here)."""

    memory: int = 1 << 30
    run: Gatherer | None = None

    def __post_init__(self) -> None:
        if self.memory < SMALLEST_MEMORY:
            raise InputError(
                f"{bytes_text(self.memory)} of memory is too little to fit detectors in: "
                f"give {bytes_text(SMALLEST_MEMORY)} or more."
            )


@dataclass(frozen=True, slots=True)
class Summary:
    """What a job did: score partitions (model, dataset, detector) made and found in the lake, and what it could not do."""

    scored: int
    reused: int
    skipped: int
    seconds: float
