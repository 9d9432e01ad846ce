"""Scores by comparison with every sample of the fit dataset: of all datasets together, in shared sweeps of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.detectors.comparison import at_once, compare
from analysis.rows.activations import concatenated
from analysis.rows.checks import same_dimensions
from analysis.rows.lake_rows import Rows
from analysis.scoring.blocks import columns_of
from featurestore.errors import InputError, NumericalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from analysis.detectors import Detector
    from analysis.lineage.learning_set import LearningSet
    from analysis.rows.activations import Activations
    from analysis.scoring.blocks import Scores
    from analysis.scoring.fits import ModelFits
    from analysis.statistics.statistic import Arrays, SweepContext
    from featurestore.errors import LakeError


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Some rows of a dataset, in row order; the last part of it closes it."""

    dataset: str
    sample: NDArray[np.int64]
    activations: Activations
    closes: bool


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Detectors of one model that compare samples with every sample of a fit dataset.

    Attributes:
        fits: The model's fits.
        learning_set: The fit dataset.
        detectors: The detectors.
        failed: Why one of them cannot score all samples, by its name.
    """

    fits: ModelFits
    learning_set: LearningSet
    detectors: Sequence[Detector[Any]]
    failed: dict[str, LakeError] = field(default_factory=dict, init=False, repr=False)

    def scores(self, datasets: Sequence[str]) -> Iterator[tuple[str, NDArray[np.int64], Scores]]:
        """Score datasets in as few sweeps of the fit dataset as memory allows for their samples.

        Args:
            datasets: The datasets, in the order in which they are to be done.

        Yields:
            Each dataset as soon as it is done: its name, its samples, int64, shape [n], and their scores by detector, float64,
            shape [n].

        Raises:
            NumericalError: An activation is NaN or infinite.
        """
        context = self._context()
        able = self._able()
        done: list[tuple[_Part, Scores]] = []
        for chunk in _chunks(self._parts(datasets, context.dim), at_once(able, context)) if able else ():
            scores = self._of_chunk(chunk, self._able(), context)
            ends = np.cumsum([len(part.sample) for part in chunk])
            for part, end in zip(chunk, ends.tolist(), strict=True):
                own = slice(end - len(part.sample), end)
                done.append((part, {name: of[own] for name, of in scores.items()}))
                if part.closes:
                    yield part.dataset, *self._together(done)
                    done = []

    def _able(self) -> list[Detector[Any]]:
        return [detector for detector in self.detectors if detector.name not in self.failed]

    def _context(self) -> SweepContext:
        """What is known of the fit dataset, with the statistics that detectors need: stored ones, if there are."""
        known: dict[str, Arrays] = {}
        for detector in self.detectors:
            try:
                known |= self.fits.needed([detector])
            except (InputError, NumericalError) as error:
                self.failed[detector.name] = error
        return self.fits.context(self.learning_set, known)

    def _parts(self, datasets: Sequence[str], dim: int) -> Iterator[_Part]:
        for dataset in datasets:
            rows = Rows(self.fits.lake, self.fits.model, dataset, head=self.fits.head)
            reads = rows.read(columns_of(self._able()))
            for number, read in enumerate(reads, 1):
                block = read()
                rows.check_finite(block)
                try:
                    same_dimensions(block.activations.feature, dim)
                except InputError as error:
                    raise InputError(f"Scoring {rows.model} on {dataset}: {error}") from error
                yield _Part(dataset, block.sample, block.activations, number == len(reads))

    def _of_chunk(self, chunk: Sequence[_Part], detectors: Sequence[Detector[Any]], context: SweepContext) -> Scores:
        """The scores of a chunk; where one detector fails, each is tried by itself."""
        datasets = ", ".join(dict.fromkeys(part.dataset for part in chunk))
        said = f"{self.fits.model}: {datasets} against {self.learning_set.dataset}"
        bar = partial(self.fits.means.bars, said, context.rows)
        bank = self.fits.rows(self.learning_set)
        queries = concatenated([part.activations for part in chunk], self.fits.head)
        try:
            return compare(bank, detectors, queries, context, bar=bar, run=self.fits.means.run)
        except (InputError, NumericalError) as error:
            if len(detectors) == 1:
                self.failed[detectors[0].name] = error
                return {}
        found: Scores = {}
        for detector in detectors:
            found |= self._of_chunk(chunk, [detector], context)
        return found

    def _together(self, done: Sequence[tuple[_Part, Scores]]) -> tuple[NDArray[np.int64], Scores]:
        """The samples of a dataset, and their scores by the detectors that scored all of them."""
        samples = np.concatenate([part.sample for part, _ in done])
        names = [detector.name for detector in self._able()]
        return samples, {name: np.concatenate([scores[name] for _, scores in done]) for name in names}


def _chunks(parts: Iterator[_Part], rows: int) -> Iterator[list[_Part]]:
    """Group parts into chunks of at most so many rows each, cutting those that reach beyond."""
    chunk: list[_Part] = []
    room = rows
    for part in parts:
        rest = part
        while len(rest.sample) > room:
            yield [*chunk, _cut(rest, slice(0, room), closes=False)]
            rest = _cut(rest, slice(room, None), closes=part.closes)
            chunk, room = [], rows
        chunk.append(rest)
        room -= len(rest.sample)
    if chunk:
        yield chunk


def _cut(part: _Part, rows: slice, *, closes: bool) -> _Part:
    return replace(part, sample=part.sample[rows], activations=part.activations.part(rows), closes=closes)
