"""Planning an extraction: what is in the lake already, what conflicts, which sample ranges are to be done. No pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from featurestore.layout.tables import TABLES, VECTOR_DTYPES
from featurestore.names import pick
from featurestore.partitions import derived_logits, writing
from featurestore.progress import no_bar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from extract.datasets import DatasetRow
    from extract.models import ModelSpec
    from featurestore.lake import Lake
    from featurestore.progress import Bars

FRAGMENT_ROWS = 16_384
_MODELS_PER_PASS = 8


@dataclass(frozen=True, slots=True)
class Options:
    """How to run an extraction.

    Attributes:
        device: `cpu`, `cuda`, `cuda:N`, or `auto`.
        batch_size: Images per forward pass.
        workers: Processes that decode images; None chooses.
        amp: `off`, `bf16` or `fp16`.
        dtype: Stored precision of features and logits.
        replacing: Whether a partition made from other ingredients may be swapped.
        fragment_rows: Samples per fragment.
        compiling: Whether networks go through torch.compile.
        allow_unreadable: Whether images whose place is away, refuses or does not answer become failures; else they end the job.
        bars: Shows how far the work is.
        logits: `stored`, or `derived`: datasets of the role `fit` get none, and readers compute them from the head.
    """

    device: str = "auto"
    batch_size: int = 64
    workers: int | None = None
    amp: str = "off"
    dtype: str = "float32"
    replacing: bool = False
    fragment_rows: int = FRAGMENT_ROWS
    compiling: bool = False
    logits: str = "stored"
    allow_unreadable: bool = False
    bars: Bars = no_bar

    def __post_init__(self) -> None:
        pick("mixed precision (--amp)", self.amp, ("off", "bf16", "fp16"))
        pick("stored precision (--dtype)", self.dtype, VECTOR_DTYPES)
        pick("place of logits (--logits)", self.logits, derived_logits.CHOICES)


@dataclass(frozen=True, slots=True)
class Task:
    """The activations of one model on one dataset, that the lake does not hold yet, or that are to be made once more.

    Attributes:
        spec: The model.
        dataset: What it is run on.
        target: What is written.
        again: Whether the lake holds what was made from the same ingredients.
    """

    spec: ModelSpec
    dataset: DatasetRow
    target: writing.Target
    again: bool = False

    @property
    def stores_logits(self) -> bool:
        """Whether its fragments hold logits."""
        return derived_logits.are_stored(self.target.ingredients)


def activations_target(spec: ModelSpec, dataset: DatasetRow, options: Options) -> writing.Target:
    """The partition of a model's activations on a dataset, with all that determines its content."""
    ingredients = {
        **spec.identity,
        "compute": "float32" if options.amp == "off" else options.amp,
        "dtype": options.dtype,
        "dataset_digest": dataset.digest,
        "fragment_rows": options.fragment_rows,
        **derived_logits.ingredients(
            derived=options.logits == "derived" and dataset.role == "fit", absent=spec.is_headless
        ),
    }
    return writing.Target(TABLES["activations"], {"model": spec.name, "dataset": dataset.dataset}, ingredients, {})


def model_target(spec: ModelSpec) -> writing.Target:
    """The partition of a model's row."""
    return writing.Target(TABLES["models"], {"model": spec.name}, {**spec.identity, **spec.recipe}, {})


def head_target(spec: ModelSpec) -> writing.Target:
    """The partition of a model's head."""
    return writing.Target(TABLES["heads"], {"model": spec.name}, spec.identity, {})


def plan(
    lake: Lake, spec: ModelSpec, datasets: Sequence[DatasetRow], options: Options, *, corrected: bool = False
) -> tuple[list[Task], list[Mapping[str, str]]]:
    """Split a model's work into what is to be done and what the lake holds.

    Args:
        lake: The lake.
        spec: The model.
        datasets: What it is to be run on.
        options: How.
        corrected: Whether its row will be corrected, and so may differ from what the lake holds.

    Returns:
        The tasks to do, and the keys of the partitions that are there already: cache hits, of which there are none where
        `options.replacing` says to make them once more.

    Raises:
        ConflictError: The lake holds a partition with another fingerprint, and `options.replacing` is false.
    """
    writing.find(lake.storage, model_target(spec), replacing=options.replacing or corrected)
    if not spec.is_headless:
        writing.find(lake.storage, head_target(spec), replacing=options.replacing)
    to_do: list[Task] = []
    hits: list[Mapping[str, str]] = []
    for dataset in datasets:
        task = Task(spec, dataset, activations_target(spec, dataset, options))
        held = writing.find(lake.storage, task.target, replacing=options.replacing)
        if held and options.replacing:
            to_do.append(replace(task, again=True))
        elif held:
            hits.append(task.target.key)
        else:
            to_do.append(task)
    return to_do, hits


def passes(tasks: Sequence[Task]) -> Iterator[list[Task]]:
    """Cut tasks into passes over one dataset, whose models share their preprocessing and so each image's decoding.

    The passes of the same models follow each other, so that models stay loaded. A model's layers go with it, so that it runs once.
    """
    by_preprocessing: dict[str, dict[str, list[Task]]] = {}
    for task in tasks:
        models = by_preprocessing.setdefault(str(task.spec.preprocessing), {})
        models.setdefault(task.spec.base_name, []).append(task)
    for models in by_preprocessing.values():
        names = list(models)
        for start in range(0, len(names), _MODELS_PER_PASS):
            chunk = [task for name in names[start : start + _MODELS_PER_PASS] for task in models[name]]
            for dataset in dict.fromkeys(task.dataset.dataset for task in chunk):
                yield [task for task in chunk if task.dataset.dataset == dataset]


def fragment_ranges(samples: int, fragment_rows: int) -> list[range]:
    """The sample range of each fragment: the same for the same dataset, so that an unfinished job can go on."""
    return [range(start, min(start + fragment_rows, samples)) for start in range(0, samples, fragment_rows)]


def batches_of(ranges: Sequence[range], batch_size: int) -> Iterator[range]:
    """Batches that never straddle two fragments."""
    for samples in ranges:
        for start in range(samples.start, samples.stop, batch_size):
            yield range(start, min(start + batch_size, samples.stop))
