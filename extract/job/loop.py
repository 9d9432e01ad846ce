"""The extraction loop: read images, run models, write fragments."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from extract.datasets import check_equal, unread
from extract.images.loader import check_reachable, image_batches
from extract.job.plan import Failure, batches_of, fragment_ranges, fragment_target
from extract.models import about
from extract.predictions import Predictions
from featurestore.partitions import derived_logits, writing
from featurestore.partitions.encoding import as_stored, vector_array
from featurestore.partitions.writing import FragmentWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from extract.datasets import Digests, Listing
    from extract.images.loader import ImageBatch, ImageDataset, Prepared
    from extract.job.plan import Options, Task
    from extract.job.summary import Times
    from extract.models import Launched, LayerOfModel, LoadedModel
    from featurestore.layout.manifest import Fragment
    from featurestore.storage import Storage

_LOOKING_ON = 10.0
"""Seconds that a job which has to end goes on to read, so that it can say how much is away."""


@dataclass(slots=True)
class FragmentMaker:
    """One model's share of a pass over a dataset: what is written already, and the rows of the fragment in the making.

    `way` is how its images are prepared. By fragment: `failures`, and `away`, those of them whose images could not be reached; `unsettled` are those of which that is
    not known for sure.
    """

    task: Task
    model: LoadedModel | LayerOfModel
    dtype: str
    labels: NDArray[np.int64]
    way: str = field(init=False)
    fragments: dict[int, Fragment] = field(default_factory=dict)
    failures: dict[int, list[Failure]] = field(default_factory=dict)
    away: dict[int, list[int]] = field(default_factory=dict)
    unsettled: set[int] = field(default_factory=set)
    predictions: dict[int, Predictions] = field(default_factory=dict)
    kept: int = 0
    launched: tuple[list[int], Launched] | None = None
    samples: list[int] = field(default_factory=list)
    features: list[NDArray[Any]] = field(default_factory=list)
    logits: list[NDArray[Any]] = field(default_factory=list)
    predicted: list[Predictions] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.way = self.task.spec.way

    def load_progress(self, storage: Storage) -> None:
        """Take over the fragments of an earlier job that did not end; not where all is to be made once more."""
        if self.task.again:
            return
        for number, (fragment, failures) in self.task.kept.items():
            self.fragments[number], self.failures[number] = fragment, list(failures)
        for number, (fragment, notes) in writing.resume(storage, self.task.target, self.task.kept).items():
            self.fragments[number] = fragment
            self.failures[number] = [tuple(failure) for failure in notes["failures"]]
            self.unsettled |= {number} if self.failures[number] else set()

    def take(self, samples: list[int], launched: Launched) -> None:
        """Take a batch that was just begun; the activations of the one before it, which are there by now, join the fragment in the making."""
        before, self.launched = self.launched, (samples, launched)
        self._add(before)

    def _add(self, launched: tuple[list[int], Launched] | None) -> None:
        if launched is None:
            return
        numbers, (feature, logits) = launched[0], self.model.said(launched[1])
        samples = np.array(numbers)
        self.samples += numbers
        self.features.append(as_stored("feature", feature, self.dtype, samples))
        # Logits that are not stored are looked at all the same: whoever reads them expects numbers.
        dtype = self.dtype if self.task.stores_logits else "float32"
        stored = as_stored("logits", logits, dtype, samples)
        self.predicted.append(Predictions.of(stored, self.labels[samples]))
        if self.task.stores_logits:
            self.logits.append(stored)

    def take_rows(self, number: int) -> Callable[[], pa.Table]:
        """Hand over the rows of a fragment, those since the last call, as a function that encodes them: encoding is the writer's work."""
        self._add(self.launched)
        self.launched = None
        self.predictions[number] = Predictions.joined(self.predicted)
        self.predicted = []
        samples, features, logits = np.array(self.samples, np.int64), self.features, self.logits
        self.samples, self.features, self.logits = [], [], []
        width, classes, dtype, holds_logits = self.model.width, self.model.classes, self.dtype, self.task.stores_logits
        labels = self.labels[samples]

        def rows() -> pa.Table:
            columns = {
                "sample": pa.array(samples),
                "label": pa.array(labels, mask=labels < 0),
                "feature": vector_array("feature", _stacked(features, width, dtype), dtype, samples),
                "logits": vector_array("logits", _stacked(logits, classes, dtype), dtype, samples)
                if holds_logits
                else derived_logits.no_logits(len(samples)),
            }
            may_be_null = {"label"} if holds_logits else {"label", "logits"}
            fields = [pa.field(name, column.type, nullable=name in may_be_null) for name, column in columns.items()]
            return pa.table(list(columns.values()), schema=pa.schema(fields))

        return rows


def label_array(labels: Sequence[int | None]) -> NDArray[np.int64]:
    """Labels as int64, -1 where there is none."""
    return np.array([-1 if label is None else label for label in labels], np.int64)


Pending: TypeAlias = tuple[FragmentMaker, int, list[Failure], list[int], "Future[Fragment]"]


def extract_fragments(
    storage: Storage,
    makers: Sequence[FragmentMaker],
    images: ImageDataset,
    listing: Listing,
    *,
    numbers: Sequence[int],
    options: Options,
    workers: int,
    advance: Callable[[int], None],
    times: Times,
    held: Digests | None = None,
) -> dict[int, Digests]:
    """Make fragments of a dataset's activations for several models: each image is read and decoded once, and prepared once in each way.

    Args:
        storage: The lake's storage.
        makers: The models' shares; afterwards their `fragments` and `failures` hold all numbers.
        images: The dataset's images, prepared in the ways of all the models.
        listing: The dataset's samples.
        numbers: Which fragments.
        options: Batch size, stored precision, fragment size.
        workers: Processes that decode.
        advance: Is told the number of samples just done.
        times: Is told where the time went.
        held: Digests of the bytes that the dataset's other activations were made from.

    Returns:
        The digests of the fragments' samples, by number; those of fragments that were there already are not among them.

    Raises:
        ConflictError: Images have other bytes than `held` says; no fragment with such an image is written.
        UnreadableError: Images cannot be read where they lie, and the options do not allow it; the fragments before are written.
    """
    digests: dict[int, Digests] = {}
    ranges = fragment_ranges(len(listing), options.fragment_rows)
    missing = {n: [maker for maker in makers if n not in maker.fragments] for n in numbers}
    advance(sum(len(ranges[n]) for n, behind in missing.items() if not behind))
    read = _read(images, {ranges[n]: behind for n, behind in missing.items() if behind}, options, workers)
    pending: list[Pending] = []
    looked, lost = 0, []  # type: int, list[Failure]
    # All models end a fragment at the same time: there is room for these, and the next ones are a fragment's work away.
    with FragmentWriter(storage, room=len(makers) + 1) as writer:
        for number, behind in missing.items():
            if not behind:
                continue
            failed, found, away = _run_fragment(
                read, behind, ranges[number], listing, options=options, advance=advance, times=times
            )
            looked += len(found)
            if away and not options.allow_unreadable:
                more, others = _look_on(read, listing)
                looked, lost = looked + more, away + others
                break
            gone = [sample for sample, _, _ in away]
            digests[number] = found
            if held is not None:
                rows = slice(ranges[number].start, ranges[number].stop)
                check_equal(behind[0].task.dataset.dataset, listing.paths[rows], digests[number], held[rows])
            _take_finished(pending)
            with times.measure("write"):
                for maker in behind:
                    with about(maker.task.spec.base_name):
                        encode, failures = maker.take_rows(number), failed[maker.way]
                    target = fragment_target(maker.task.target, failures, gone)
                    written = writer.submit(target, number, encode, {"failures": failures})
                    pending.append((maker, number, failures, gone, written))
        with times.measure("write"):
            for *_, written in pending:
                written.exception()
    _take_finished(pending)
    check_reachable(makers[0].task.dataset, lost, looked)
    for maker in makers:
        maker.kept = sum(fragment in writer.kept for fragment in maker.fragments.values())
    return digests


def _read(
    images: ImageDataset, wanted: Mapping[range, Sequence[FragmentMaker]], options: Options, workers: int
) -> Iterator[ImageBatch]:
    """The batches of fragments, in order, prepared in the ways of the models that lack them, and in no other."""
    by_ways = groupby(wanted, lambda samples: {maker.way for maker in wanted[samples]})
    for ways, ranges in by_ways:
        batches = batches_of(list(ranges), options.batch_size)
        pin = options.device.startswith("cuda")
        yield from image_batches(images.of_ways(ways), batches, workers=workers, pin=pin)


def _run_fragment(
    read: Iterator[ImageBatch],
    makers: Sequence[FragmentMaker],
    samples: range,
    listing: Listing,
    *,
    options: Options,
    advance: Callable[[int], None],
    times: Times,
) -> tuple[Mapping[str, list[Failure]], Digests, list[Failure]]:
    """Run models on a fragment's samples; failures by way; which images are away comes last, and ends it unless that is allowed."""
    failures: dict[str, list[Failure]] = {maker.way: [] for maker in makers}
    away: list[Failure] = []
    digests = unread(len(samples))
    done = 0
    while done < len(samples):
        with times.measure("wait"):
            batch = next(read)
        times.read += batch.read
        times.decode += batch.decode
        with times.measure("forward"):
            _run_batch(batch, makers)
        for way in failures:
            failures[way] += _failures(batch.by_way[way], listing)
        digests[done : done + len(batch)] = np.frombuffer(batch.digests, np.uint8).reshape(len(batch), -1)
        done += len(batch)
        advance(len(batch))
        away += _away(batch, listing)
        if away and not options.allow_unreadable:
            break
    return failures, digests[:done], away


def _run_batch(batch: ImageBatch, makers: Sequence[FragmentMaker]) -> None:
    """Launch each network once on the images as it takes them, and hand each model its part of what comes out."""
    ready = {maker.model.network: batch.by_way[maker.way] for maker in makers if batch.by_way[maker.way].samples}
    launched: dict[LoadedModel, Launched] = {}
    for network, made in ready.items():
        with about(network.spec.name):
            launched[network] = network.launch(made.images)
    for maker in makers:
        if maker.model.network in launched:
            with about(maker.task.spec.base_name):
                maker.take(batch.by_way[maker.way].samples, launched[maker.model.network])


def _failures(made: Prepared, listing: Listing) -> list[Failure]:
    return [(sample, listing.paths[sample], text) for sample, text in made.errors]


def _away(batch: ImageBatch, listing: Listing) -> list[Failure]:
    """Images that could not be reached, so that no way could be taken."""
    first = next(iter(batch.by_way.values()))
    return [failure for failure in _failures(first, listing) if failure[0] in batch.unreachable]


def _look_on(read: Iterator[ImageBatch], listing: Listing) -> tuple[int, list[Failure]]:
    """How many more images are read in a few seconds, and those of them that are away: to say how much is."""
    looked, away, end = 0, [], time.monotonic() + _LOOKING_ON  # type: int, list[Failure], float
    for batch in read:
        looked += len(batch)
        away += _away(batch, listing)
        if time.monotonic() > end:
            break
    return looked, away


def _take_finished(pending: list[Pending]) -> None:
    """Note the fragments that are written, and raise what writing one of them raised."""
    for entry in [entry for entry in pending if entry[-1].done()]:
        maker, number, failures, away, written = entry
        maker.fragments[number], maker.failures[number], maker.away[number] = written.result(), failures, away
        maker.unsettled |= {number} if away else set()
        pending.remove(entry)


def _stacked(blocks: list[NDArray[Any]], width: int, dtype: str) -> NDArray[Any]:
    """One matrix of all blocks; the blocks are let go."""
    stacked = np.concatenate(blocks) if blocks else np.empty((0, width), dtype)
    blocks.clear()
    return stacked
