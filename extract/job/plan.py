"""Planning an extraction: what is in the lake already, what conflicts, what failed and is tried again, which ranges are to be done."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from torch import Tensor

from extract.images.loader import ImageDataset
from featurestore.layout.manifest import conflict
from featurestore.layout.reading_state import asked_for, edition_of, in_edition, without
from featurestore.layout.tables import TABLES, VECTOR_DTYPES
from featurestore.names import pick
from featurestore.partitions import derived_logits, snapshot, writing
from featurestore.progress import no_bar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from extract.datasets import DatasetRow
    from extract.models import ModelSpec
    from featurestore.lake import Lake
    from featurestore.layout.manifest import Fragment, Part
    from featurestore.progress import Bars
    from featurestore.storage import Storage

Failure = tuple[int, str, str]
UNSETTLED = "unsettled"
"""The detail of activations that lists fragments whose failures are to be tried again; earlier versions wrote none."""
FRAGMENT_ROWS = 16_384
_LOOKED_AT_ONCE = 64
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
        held: What the lake holds of the same, of which samples are tried again or all is made again.
        kept: Fragments of it that stay, by number, each with its failures.
    """

    spec: ModelSpec
    dataset: DatasetRow
    target: writing.Target
    again: bool = False
    held: Part | None = None
    kept: Mapping[int, tuple[Fragment, Sequence[Failure]]] = field(default_factory=dict)

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


def fragment_target(target: writing.Target, failures: Sequence[Failure], away: Collection[int]) -> writing.Target:
    """The target that names a fragment; where some samples failed that may be readable later, the failed ones are part of it."""
    if not away and edition_of(target.ingredients) == 1:
        return target
    return replace(target, ingredients=without(target.ingredients, [sample for sample, _, _ in failures]))


class Probe:
    """Whether images that could not be read can be read now, by the way in which a model reads them; each is looked at once."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], dict[str, bool]] = defaultdict(dict)

    def any_readable(self, spec: ModelSpec, dataset: DatasetRow, paths: Sequence[str]) -> bool:
        """Whether one of them can be read and decoded; none is waited for."""
        seen = self._seen[dataset.dataset, spec.way]
        if any(seen.get(path) for path in paths):
            return True
        new = [path for path in paths if path not in seen]
        images = ImageDataset(dataset.reader, new, {spec.way: spec.preparation().of_image}, patience=0.0)
        for start in range(0, len(new), _LOOKED_AT_ONCE):
            block = range(start, min(start + _LOOKED_AT_ONCE, len(new)))
            items = images.__getitems__(block)
            readable = {new[item.sample]: isinstance(item.images[spec.way], Tensor) for item in items}
            seen |= readable
            if any(readable.values()):
                return True
        return False


def plan(
    lake: Lake,
    spec: ModelSpec,
    datasets: Sequence[DatasetRow],
    options: Options,
    *,
    corrected: bool = False,
    probe: Probe | None = None,
) -> tuple[list[Task], list[Mapping[str, str]]]:
    """Split a model's work into what is to be done and what the lake holds.

    Args:
        lake: The lake.
        spec: The model.
        datasets: What it is to be run on.
        options: How.
        corrected: Whether its row will be corrected, and so may differ from what the lake holds.
        probe: Looks at images that could not be read.

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
        task = _task(lake, spec, dataset, options, probe or Probe())
        if task:
            to_do.append(task)
        else:
            hits.append({"model": spec.name, "dataset": dataset.dataset})
    return to_do, hits


def _task(lake: Lake, spec: ModelSpec, dataset: DatasetRow, options: Options, probe: Probe) -> Task | None:
    """What is to be done on a dataset; None if the lake holds all that can be read of it."""
    target = activations_target(spec, dataset, options)
    held = held_part(lake.storage, target)
    if held is None or not is_same(held, target):
        if held and not options.replacing:
            raise conflict(target.table.name, target.key, asked_for(held.ingredients), target.ingredients)
        return Task(spec, dataset, target)
    edition = edition_of(held.ingredients)
    own = replace(target, ingredients=in_edition(target.ingredients, edition))
    following = replace(target, ingredients=in_edition(target.ingredients, edition + 1))
    noted = _failures_part(lake.storage, target.key)
    if noted and noted.ingredients != held.ingredients and is_same(noted, target) and not options.replacing:
        # A job that was killed between its failures and its activations: what it wrote is found by its name.
        begun = in_edition(target.ingredients, max(edition, edition_of(noted.ingredients)))
        return Task(spec, dataset, replace(target, ingredients=begun), held=held)
    failures = _failures_of(lake, noted, held, target.key)
    if options.replacing:
        return Task(spec, dataset, following if failures else own, again=True, held=held)
    ranges = fragment_ranges(dataset.samples, options.fragment_rows)
    failed_in: dict[int, list[Failure]] = defaultdict(list)
    for failure in failures:
        failed_in[failure[0] // options.fragment_rows].append(failure)
    tried = set(held.details.get(UNSETTLED, failed_in)) & failed_in.keys()
    if not tried or not probe.any_readable(spec, dataset, [path for n in sorted(tried) for _, path, _ in failed_in[n]]):
        return None
    kept = {n: (held.fragments[n], failed_in[n]) for n in range(len(ranges)) if n not in tried}
    # Where a fragment that lacks samples has the name that whole ones have, what takes its place must have another.
    taken = any(held.fragments[n].path == own.fragment_path(n) for n in tried)
    return Task(spec, dataset, following if taken else own, held=held, kept=kept)


def held_part(storage: Storage, target: writing.Target) -> Part | None:
    """What the lake holds under a target's key."""
    manifest = snapshot.latest(storage, target.table, target.key)
    return manifest.part(target.part_key) if manifest else None


def is_same(part: Part, target: writing.Target) -> bool:
    """Whether a part was made from what a target names, however many of its samples could be read."""
    named = [replace(target, ingredients=asked_for(of)).fingerprint for of in (part.ingredients, target.ingredients)]
    return named[0] == named[1]


def _failures_part(storage: Storage, key: Mapping[str, str]) -> Part | None:
    manifest = snapshot.latest(storage, TABLES["failures"], key)
    return manifest.parts[0] if manifest else None


def _failures_of(lake: Lake, noted: Part | None, held: Part, key: Mapping[str, str]) -> list[Failure]:
    """The failures of activations that the lake holds; none if those that it has are of others."""
    if noted is None or noted.ingredients != held.ingredients or not noted.rows:
        return []
    return [(row["sample"], row["path"], row["error"]) for row in lake.read("failures", **key).to_pylist()]


def passes(tasks: Sequence[Task]) -> Iterator[list[Task]]:
    """Cut tasks into passes over one dataset, whose models share each image's decoding.

    Models that prepare images in the same way follow each other, so that few passes prepare them in many. The passes of the same models
    do so, too, so that models stay loaded. A model's layers go with it, so that it runs once.
    """
    by_way: dict[str, dict[str, list[Task]]] = {}
    for task in tasks:
        by_way.setdefault(task.spec.way, {}).setdefault(task.spec.base_name, []).append(task)
    models = [of_model for group in by_way.values() for of_model in group.values()]
    for start in range(0, len(models), _MODELS_PER_PASS):
        chunk = [task for of_model in models[start : start + _MODELS_PER_PASS] for task in of_model]
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
