"""A fitted detector with the scores of the ID test set: scores, a threshold, and verdicts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from analysis.judging.saved_arrays import from_bytes, in_memory, to_bytes
from analysis.metrics.threshold import id_rank, threshold_at, threshold_interval
from featurestore.errors import InputError
from featurestore.layout.recorded_network import RecordedNetwork
from featurestore.staging import write_whole

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from analysis.detectors import FittedDetector


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdedDetector:
    """A detector in use: it needs numpy alone, and can be pickled and saved.

    Attributes:
        fitted: The detector, and what it learned.
        id_scores: Scores of the ID test samples, ascending, float64, shape [n].
        tpr: Share of them that the threshold accepts.
        network: The network whose activations these are.
        benchmark: The benchmark in which it was fitted and scored.
        id_dataset: Its ID test dataset.
        class_names: Names of the classes, by number, where they are known.
    """

    fitted: FittedDetector
    id_scores: NDArray[np.float64]
    tpr: float
    network: RecordedNetwork
    benchmark: str = ""
    id_dataset: str = ""
    class_names: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_tpr(self.tpr)

    @property
    def threshold(self) -> float:
        """The quantile 1 - tpr of the ID test scores; a score of at least this is accepted."""
        return float(threshold_at(self.id_scores, self.tpr))

    @property
    def threshold_interval(self) -> tuple[float, float]:
        """Where the threshold of all ID images may lie, given that these are a sample of them: 95 %, by binomial ranks."""
        return threshold_interval(self.id_scores, self.tpr)

    def score(self, feature: NDArray[Any], logits: NDArray[Any] | None = None) -> NDArray[np.float64]:
        """Score activations of this network; higher is more in-distribution.

        Args:
            feature: Any float dtype, shape [n, D], or [D] of one image.
            logits: Any float dtype, shape [n, C] or [C]; may be left out where the detector reads none.

        Returns:
            Finite scores, float64, shape [n], or a number.

        Raises:
            InputError: The shapes are not those of the fit, or the detector needs logits.
            NumericalError: An activation or a score is NaN or infinite.
        """
        given = np.asarray(feature)
        rows = None if logits is None else np.atleast_2d(np.asarray(logits))
        scores = self.fitted.score(np.atleast_2d(given), rows)
        return scores if given.ndim > 1 else scores[0]

    def accepts(self, feature: NDArray[Any], logits: NDArray[Any] | None = None) -> NDArray[np.bool_]:
        """Whether images are taken for in-distribution: their score is at least the threshold; arguments as of `score`."""
        return np.asarray(self.score(feature, logits) >= self.threshold)[()]

    def id_rank(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of the ID test scores below each score, ties counted half, shape [n]."""
        return id_rank(np.atleast_1d(scores), self.id_scores)

    def in_memory(self) -> Self:
        """The same, with fit rows that it compares with in memory, where a lake holds them."""
        return replace(self, fitted=in_memory(self.fitted))

    def save(self, file: str | os.PathLike[str]) -> Path:
        """Write it to a file that needs no lake: named arrays (`.npz`) and a JSON text, of which `load` runs nothing.

        Args:
            file: The file; what was there is replaced, once the new one is whole.

        Raises:
            OSError: It cannot be written.
        """
        path = Path(file)
        told = {
            "tpr": self.tpr,
            "benchmark": self.benchmark,
            "id_dataset": self.id_dataset,
            "class_names": {str(label): name for label, name in self.class_names.items()},
            "network": self.network.to_json(),
        }
        write_whole(path, to_bytes(self.fitted, {"id_scores": self.id_scores}, told))
        return path

    @classmethod
    def load(cls, file: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote; what the detector learned is computed again, from its statistics.

        Raises:
            InputError: The file cannot be read, or `save` did not write it.
            MissingError: There is no detector of that name: load the plugin that defines it first.
            ConflictError: The detector gives other numbers in this version.
        """
        saved = from_bytes(Path(file))
        told = saved.told
        names = {int(label): name for label, name in told["class_names"].items()}
        network = RecordedNetwork(**told["network"])
        return cls(
            *(saved.fitted, saved.arrays["id_scores"], told["tpr"], network),
            benchmark=told["benchmark"],
            id_dataset=told["id_dataset"],
            class_names=names,
        )


def check_tpr(tpr: float) -> None:
    """Raise if a number is no share of images that a threshold could accept.

    Raises:
        InputError: It is not between 0 and 1.
    """
    if not 0 < tpr < 1:
        raise InputError(f"--tpr is the share of ID images to accept, between 0 and 1, as 0.95; got {tpr}.")
