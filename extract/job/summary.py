"""What a job says of itself: to its user, and in the manifests of what it made."""

from __future__ import annotations

import contextlib
import platform
import time
from dataclasses import asdict, astuple, dataclass
from typing import TYPE_CHECKING, Any

import timm
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from extract.job.plan import Options
    from extract.models import ModelSpec


@dataclass(slots=True)
class Times:
    """Seconds that went into each stage.

    Reading and decoding are those of all worker processes together, beside the loop, which shows them as `wait` only where
    it had to wait for them; without workers, `wait` contains them.

    Attributes:
        prepare: Loading models and looking up what is there already.
        read: Reading the bytes of images, by all workers.
        decode: From bytes to pixels, by all workers.
        wait: The loop, waiting for images.
        forward: The loop, running models.
        write: The loop, waiting for fragments to be written.
    """

    prepare: float = 0.0
    read: float = 0.0
    decode: float = 0.0
    wait: float = 0.0
    forward: float = 0.0
    write: float = 0.0

    @contextlib.contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the time of a block to a stage."""
        start = time.monotonic()
        try:
            yield
        finally:
            setattr(self, stage, getattr(self, stage) + time.monotonic() - start)

    def __str__(self) -> str:
        return ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in asdict(self).items())

    def __add__(self, other: Times) -> Times:
        return Times(*(ours + theirs for ours, theirs in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class ExtractionSummary:
    """What a job did.

    Attributes:
        extracted: Pairs of model and dataset that were made.
        reused: Pairs that the lake held.
        samples: Samples of the pairs that were made.
        failed: Samples that could not be read.
        seconds: Wall time.
        times: Where it went.
        refused: Why models or datasets were left out, by `NAME` or `NAME on DATASET`.
    """

    extracted: int
    reused: int
    samples: int
    failed: int
    seconds: float
    times: Times
    refused: Mapping[str, str]

    def __add__(self, later: ExtractionSummary) -> ExtractionSummary:
        return ExtractionSummary(
            self.extracted + later.extracted,
            self.reused + later.reused,
            self.samples + later.samples,
            self.failed + later.failed,
            self.seconds + later.seconds,
            self.times + later.times,
            {**self.refused, **later.refused},
        )


def called(models: Sequence[str]) -> str:
    """A model by its name, and several by their number."""
    return models[0] if len(models) == 1 else f"{len(models)} models"


def say_notes(specs: Sequence[ModelSpec], say: Callable[[str], None]) -> None:
    """Say what was inferred of each model, once for all its layers and for models alike, and how images are prepared for it."""
    notes: dict[str, dict[str, None]] = {}
    files: dict[str, str] = {}
    for spec in specs:
        notes.setdefault(spec.base_name, {}).update(dict.fromkeys(map(str, spec.open_notes)))
        files[spec.base_name] = spec.checkpoint.name if spec.checkpoint else ""
    alike: dict[str, list[str]] = {}
    for name, of in notes.items():
        line = "; ".join(of)
        alike.setdefault(line.replace(files[name], "its file") if files[name] else line, []).append(name)
    for line, names in alike.items():
        if line:
            say(f"{called(names)}: {line if len(names) > 1 else '; '.join(notes[names[0]])}")
    prepared: dict[str, dict[str, None]] = {}
    for spec in specs:
        prepared.setdefault(spec.resolved.line, {})[spec.base_name] = None
    for line, of in prepared.items():
        say(f"{called(list(of))}: preprocessing: {line}")


def job_details(options: Options, seconds: float, times: Times, devices: set[str]) -> dict[str, Any]:
    """What manifests of activations say of how they were made."""
    return {
        "seconds": round(seconds, 3),
        "stages": asdict(times),
        "devices": ", ".join(sorted(devices)),
        "batch_size": options.batch_size,
        "workers": options.workers,
        "amp": options.amp,
        "compile": options.compiling,
        "torch": str(torch.__version__),
        "timm": timm.__version__,
        "machine": platform.machine(),
    }
