"""Units of work: some models on some fragments of a dataset. A unit may run anywhere, more than once, in any order."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import torch

from extract.datasets import read_contents, read_listing
from extract.images.loader import ImageDataset
from extract.images.workers import decoders
from extract.job.loop import FragmentMaker, extract_fragments, label_array
from extract.job.model_rows import write_model
from extract.job.summary import Times
from extract.models import LayerOfModel, LoadedModel, about, choose_device
from extract.models.files import sha256_of
from featurestore.errors import InputError
from featurestore.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from extract.datasets import DatasetRow, Digests, Listing
    from extract.job.plan import Failure, Options, Task
    from extract.models import ModelSpec
    from extract.predictions import Predictions
    from featurestore.layout.manifest import Fragment

_MODELS_KEPT = 8
_kept: dict[tuple[str, ...], LoadedModel] = {}


@dataclass(frozen=True, slots=True)
class Unit:
    """Models, a dataset, and the numbers of the fragments to write; it can be pickled."""

    tasks: Sequence[Task]
    numbers: Sequence[int]
    options: Options

    @property
    def dataset(self) -> DatasetRow:
        """The dataset."""
        return self.tasks[0].dataset

    @property
    def samples(self) -> int:
        """Samples that the unit covers."""
        rows = self.options.fragment_rows
        return sum(min(rows, self.dataset.samples - number * rows) for number in self.numbers)


@dataclass(frozen=True, slots=True)
class Written:
    """What a unit wrote, by model and fragment number, where its time went, what batches were cut down to, and what is to be said.

    Digests, by fragment number, are those of the images that it read. `kept` counts fragments that were made once more, in other
    bytes than those that stay. Predictions are those of the fragments that it wrote itself; an earlier job may have written the others.
    Samples that are `away` could not be reached; failures in fragments that are `unsettled` are to be tried again.
    """

    fragments: dict[str, dict[int, Fragment]]
    failures: dict[str, dict[int, list[Failure]]]
    predictions: dict[str, dict[int, Predictions]]
    times: Times
    device: str
    batches: dict[str, int]
    remarks: dict[str, str]
    digests: dict[int, Digests]
    kept: dict[str, int]
    away: dict[str, list[int]]
    unsettled: dict[str, list[int]]


def run_unit(location: str, unit: Unit, advance: Callable[[int], None]) -> Written:
    """Write a unit's fragments, except those that are in the lake already, and its models' rows.

    Args:
        location: The lake.
        unit: What to do; its options name one device.
        advance: Is told the number of samples just done.

    Raises:
        InputError: A model cannot be loaded, or a label is beyond its head; nothing of the unit is written.
        ConflictError: The lake holds another model of this name, or images have other bytes than they had before.
        NumericalError: A model gives NaN, infinity, or a value too large for the stored precision.
    """
    lake, options = Lake(location), unit.options
    start = time.monotonic()
    device = choose_device(options.device)
    listing = read_listing(lake, unit.dataset.dataset)
    labels = label_array(listing.labels)
    makers: list[FragmentMaker] = []
    for task in unit.tasks:
        with about(task.spec.base_name):
            model = loaded_model(task.spec, str(device), options)
            check_labels(model, unit.dataset, listing)
            makers.append(FragmentMaker(task, model, options.dtype, labels))
            makers[-1].load_progress(lake.storage)
    for maker in makers:
        with about(maker.task.spec.base_name):
            write_model(lake.storage, maker.model, replacing=options.replacing)
    ways = {maker.way: maker.task.spec.preparation().of_image for maker in makers}
    images = ImageDataset(unit.dataset.reader, listing.paths, ways)
    times = Times(prepare=time.monotonic() - start)
    held = read_contents(lake, unit.dataset.dataset, unit.dataset.digest)
    digests = extract_fragments(
        lake.storage,
        makers,
        images,
        listing,
        numbers=unit.numbers,
        options=options,
        workers=decoders(options.workers, unit.samples),
        advance=advance,
        times=times,
        held=held.digests if held else None,
    )
    wanted = set(unit.numbers)
    return Written(
        {maker.task.spec.name: {n: maker.fragments[n] for n in wanted} for maker in makers},
        {maker.task.spec.name: {n: maker.failures[n] for n in wanted} for maker in makers},
        {maker.task.spec.name: maker.predictions for maker in makers},
        times,
        f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type,
        {maker.task.spec.name: maker.model.shrunk_to for maker in makers if maker.model.shrunk_to},
        {maker.task.spec.name: maker.model.remark for maker in makers if maker.model.remark},
        digests,
        {maker.task.spec.name: maker.kept for maker in makers if maker.kept},
        {maker.task.spec.name: [sample for samples in maker.away.values() for sample in samples] for maker in makers},
        {maker.task.spec.name: sorted(maker.unsettled & wanted) for maker in makers},
    )


def check_weights(unit: Unit) -> None:
    """Check that this machine sees the same checkpoints as the one that planned the unit; each file is read once.

    Raises:
        InputError: A checkpoint is not there, or is another.
    """
    for spec in (task.spec for task in unit.tasks):
        if spec.checkpoint:
            _check_file(spec.checkpoint, spec.weights_sha256)


@cache
def _check_file(path: Path, sha256: str) -> None:
    found = sha256_of(path)
    if found != sha256:
        raise InputError(
            f"{path} on {platform.node()} is another file than where the job began: its sha256 begins with "
            f"{found[:12]}, not {sha256[:12]}. Let all machines see the same checkpoints."
        )


def loaded_model(spec: ModelSpec, device: str, options: Options) -> LoadedModel | LayerOfModel:
    """The model of a target: the network itself, or one of its layers."""
    return LayerOfModel(_loaded(spec.base, device, options), spec) if spec.base else _loaded(spec, device, options)


def _loaded(spec: ModelSpec, device: str, options: Options) -> LoadedModel:
    """The model; kept for the next unit, which is often of the same models on another dataset."""
    key = (
        *map(str, (spec.name, spec.checkpoint, spec.recipe, *spec.identity.values())),
        device,
        options.amp,
        str(options.compiling),
    )
    if key not in _kept:
        while len(_kept) >= _MODELS_KEPT:
            _kept.pop(next(iter(_kept)))
        _kept[key] = LoadedModel(spec, torch.device(device), options.amp, compiling=options.compiling)
    return _kept[key]


def check_labels(model: LoadedModel | LayerOfModel, dataset: DatasetRow, listing: Listing) -> None:
    """Raise if a dataset has a label beyond a model's head; a model without one has no classes of its own.

    Raises:
        InputError: It has.
    """
    classes = model.classes
    largest = max((label for label in listing.labels if label is not None), default=0)
    if classes and largest >= classes:
        raise InputError(
            f"Dataset {dataset.dataset!r} has the label {largest}, but the head of {model.spec.name} has {classes} classes."
        )


def cut_down(written: Sequence[Written]) -> dict[str, int]:
    """The smallest batch that a model was run on, among those whose batches did not fit in memory."""
    sizes: dict[str, int] = {}
    for name, size in (pair for unit in written for pair in unit.batches.items()):
        sizes[name] = min(size, sizes.get(name, size))
    return sizes
