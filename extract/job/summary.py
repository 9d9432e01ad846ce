"""What a job says of itself: to its user, and in the manifests of what it made."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import timm
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extract.job.loop import Times
    from extract.job.plan import Options
    from extract.job.unit import Written


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


def cut_down(written: Sequence[Written]) -> dict[str, int]:
    """The smallest number of images that models were run on at a time, of those whose batches did not fit in memory."""
    sizes: dict[str, int] = {}
    for name, size in (pair for unit in written for pair in unit.batches.items()):
        sizes[name] = min(size, sizes.get(name, size))
    return sizes


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
