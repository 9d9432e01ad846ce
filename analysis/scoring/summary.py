"""What a scoring job says in the end."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Summary:
    """What a job did: score partitions (model, dataset, detector) made and found in the lake, and what it could not do."""

    scored: int
    reused: int
    skipped: int
    seconds: float
