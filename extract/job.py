"""An extraction job: models and datasets in, committed partitions out."""

from __future__ import annotations

import itertools
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import timm
import torch

from extract.datasets import check_unchanged, read_dataset
from extract.datasets.register import read_listing
from extract.images import ImageDataset
from extract.loop import Failure, Job, extract_dataset
from extract.models import LoadedModel, as_json
from extract.plan import head_target, model_target, plan
from featurestore import writing
from featurestore.errors import InputError
from featurestore.names import check_slug
from featurestore.parquet import vector_array
from featurestore.progress import progress
from featurestore.tables import RECIPE_COLUMNS, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from extract.datasets import DatasetRow, Listing
    from extract.models import ModelSpec
    from extract.plan import Options, Task
    from featurestore.lake import Lake

_MODELS_AT_ONCE = 8
_SMALL_DATASET = 4_000


@dataclass(frozen=True, slots=True)
class Summary:
    """What a job did: pairs of model and dataset extracted and found in the lake, images read, samples that failed."""

    extracted: int
    reused: int
    samples: int
    failed: int
    seconds: float


def run(
    lake: Lake,
    specs: Sequence[ModelSpec],
    dataset_names: Sequence[str],
    options: Options,
    report: Callable[[str], None],
) -> Summary:
    """Extract every model's activations on every dataset, unless the lake holds them.

    Args:
        lake: Where to write.
        specs: The models.
        dataset_names: Datasets of the lake.
        options: How to run.
        report: Is told each partition in a line.

    Raises:
        ConflictError: A partition exists with another fingerprint, or a dataset's files changed; nothing is written.
        InputError: A model cannot be loaded, or the device does not exist; nothing of that model is written.
        NumericalError: A model gives NaN, infinity, or a value too large for the stored precision.
    """
    start = time.monotonic()
    _check_names(specs)
    device = choose_device(options.device)
    datasets = [read_dataset(lake, name) for name in dataset_names]
    to_do, hits = plan(lake, specs, datasets, options)
    for name in dict.fromkeys(task.dataset.dataset for task in hits):
        models = [task.spec.name for task in hits if task.dataset.dataset == name]
        report(f"{name} by {_named(models)}: in the lake already")
    for (_, name), group in itertools.groupby(_ordered(to_do), key=_pass_of):
        tasks = list(group)
        dataset = tasks[0].dataset
        listing = read_listing(lake, name)
        check_unchanged(dataset, listing)
        for chunk in _chunks(tasks, _MODELS_AT_ONCE):
            _extract(lake, chunk, listing, options, device=device, report=report)
    failed = sum(_failed(lake, task) for task in (*to_do, *hits))
    seconds = time.monotonic() - start
    return Summary(len(to_do), len(hits), sum(task.dataset.samples for task in to_do), failed, seconds)


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` takes a GPU where there is one.

    Raises:
        InputError: There is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"{name!r} is no device: use cpu, cuda or cuda:N.") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"There is no device {name}: this machine has {torch.cuda.device_count()} CUDA devices; use --device cpu."
        )
    return device


def _extract(
    lake: Lake,
    tasks: Sequence[Task],
    listing: Listing,
    options: Options,
    *,
    device: torch.device,
    report: Callable[[str], None],
) -> None:
    """One pass over a dataset for models that share their preprocessing."""
    start = time.monotonic()
    dataset = tasks[0].dataset
    jobs = [Job(task, LoadedModel(task.spec, device, options.amp), options.dtype) for task in tasks]
    for job in jobs:
        _check_labels(job, dataset, listing)
        job.load_progress(lake.storage)
    for job in jobs:
        _write_model(lake, job, options)
    images = ImageDataset(Path(dataset.location), listing.paths, tasks[0].spec.transform())
    title = f"{dataset.dataset} by {_named([task.spec.name for task in tasks])}"
    with progress(title, len(listing)) as advance:
        extract_dataset(
            lake.storage, jobs, images, listing, options, workers=_workers(options, len(listing)), advance=advance
        )
    seconds = time.monotonic() - start
    failures: list[Failure] = []
    for job in jobs:
        failures = [failure for number in sorted(job.failures) for failure in job.failures[number]]
        _commit(lake, job, failures, options, {"seconds": round(seconds, 3), **_versions(device)})
    read = len(listing) - len(failures)
    report(
        f"{title}: {read:,} samples"
        + (f", {len(failures):,} that could not be read" if failures else "")
        + f" ({len(listing) / seconds:,.0f} images/s)"
    )


def _commit(lake: Lake, job: Job, failures: Sequence[Failure], options: Options, details: dict[str, Any]) -> None:
    """Failures first: once the activations are visible, what is missing from them is, too."""
    key, target = job.task.key, job.task.target
    table = TABLES["failures"]
    if failures or lake.partitions("failures", **key):
        ours = writing.Target(table, key, target.ingredients, {})
        rows = pa.Table.from_pylist(
            [dict(zip(table.columns.names, failure, strict=True)) for failure in failures], table.columns
        )
        writing.write_part(lake.storage, ours, rows, replacing=True)
    fragments = [job.fragments[number] for number in sorted(job.fragments)]
    writing.commit(lake.storage, target.table, key, [target.part(fragments, details)], replacing=options.replacing)


def _write_model(lake: Lake, job: Job, options: Options) -> None:
    """The model's row and its head."""
    spec, head = job.task.spec, job.model.head
    row = {
        "architecture": spec.architecture,
        "params": job.model.params,
        "feature_dim": head.weight.shape[1],
        "num_classes": head.weight.shape[0],
        "input_size": spec.preprocessing["input_size"][-1],
        "source": spec.checkpoint.name if spec.checkpoint else f"timm:{spec.architecture}",
        "weights_sha256": spec.weights_sha256,
        **dict.fromkeys((*RECIPE_COLUMNS, "recipe")),
        **spec.recipe,
        "model_kwargs": as_json(spec.model_kwargs),
        "preprocessing": as_json(spec.preprocessing),
    }
    rows = pa.Table.from_pylist([row], schema=TABLES["models"].columns)
    writing.write_part(lake.storage, model_target(spec), rows, replacing=options.replacing)
    classes = np.arange(len(head.bias))
    columns = {
        "class": pa.array(classes),
        "weight": vector_array("head's weight", head.weight, "float32", classes),
        "bias": pa.array(head.bias),
    }
    writing.write_part(lake.storage, head_target(spec), pa.table(columns), replacing=options.replacing)


def _named(models: Sequence[str]) -> str:
    return models[0] if len(models) == 1 else f"{len(models)} models"


def _failed(lake: Lake, task: Task) -> int:
    """Samples without an activation, of a task that is done."""
    return sum(part.rows for manifest in lake.partitions("failures", **task.key) for part in manifest.parts)


def _check_names(specs: Sequence[ModelSpec]) -> None:
    seen: dict[str, ModelSpec] = {}
    for spec in specs:
        check_slug("model", spec.name)
        if spec.name in seen:
            raise InputError(f"Two models are called {spec.name!r}: give each a name of its own in a --pool file.")
        seen[spec.name] = spec


def _check_labels(job: Job, dataset: DatasetRow, listing: Listing) -> None:
    classes = len(job.model.head.bias)
    largest = max((label for label in listing.labels if label is not None), default=0)
    if largest >= classes:
        raise InputError(
            f"Dataset {dataset.dataset!r} has the label {largest}, but the head of {job.task.spec.name} has {classes} classes."
        )


def _ordered(tasks: Sequence[Task]) -> list[Task]:
    return sorted(tasks, key=lambda task: (_pass_of(task), task.spec.name))


def _pass_of(task: Task) -> tuple[str, str]:
    """Tasks that can share one decoding of the images."""
    return as_json(task.spec.preprocessing), task.dataset.dataset


def _chunks(tasks: Sequence[Task], size: int) -> Iterator[Sequence[Task]]:
    return (tasks[start : start + size] for start in range(0, len(tasks), size))


def _workers(options: Options, samples: int) -> int:
    if options.workers is not None:
        return options.workers
    return 0 if samples < _SMALL_DATASET else min(8, os.cpu_count() or 1)


def _versions(device: torch.device) -> dict[str, str]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {"torch": str(torch.__version__), "timm": timm.__version__, "device": f"{device.type} ({name})"}
