"""What was inferred, and from what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that was inferred since nobody said it, for the user to see and for the lake to keep.

    Attributes:
        topic: What it is about, e.g. `weights`, `prefix`, `crop_pct`; one note per topic and model.
        value: What was taken.
        origin: Where that came from, and how to say otherwise where there is a way.
    """

    topic: str
    value: str
    origin: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.value} ({self.origin})"
