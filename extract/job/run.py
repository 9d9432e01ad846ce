"""An extraction job: models and datasets in, committed partitions out."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.datasets import check_cached, check_contents, check_unchanged, read_dataset, read_listing
from extract.job.commits import commit_task, predictions_of, settle_contents
from extract.job.model_rows import correct, settle, write_model
from extract.job.plan import Probe, activations_target, fragment_ranges, passes, plan
from extract.job.runners import on_devices, on_ray, run_here
from extract.job.summary import ExtractionSummary, Times, called, job_details, say_notes
from extract.job.unit import Unit, cut_down, loaded_model
from extract.models import OF_ONE_MODEL, Refusals, blamed, split_devices
from extract.predictions import store_accuracy, store_missing_accuracies
from extract.subsets import fill
from featurestore.errors import ConflictError, InputError
from featurestore.layout.recorded_network import NOTE
from featurestore.names import check_slug
from featurestore.progress import no_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from extract.datasets import DatasetRow
    from extract.job.plan import Options, Task
    from extract.job.runners import Runner
    from extract.models import ModelSpec
    from featurestore.lake import Lake

_FRAGMENTS_PER_UNIT = 2


def run_job(
    lake: Lake,
    specs: Sequence[ModelSpec],
    dataset_names: Sequence[str],
    options: Options,
    say: Callable[[str], None],
    *,
    ray_address: str | None = None,
    refusals: Refusals | None = None,
) -> ExtractionSummary:
    """Extract every model's activations on every dataset, unless the lake holds them.

    Args:
        lake: Where to write.
        specs: The models.
        dataset_names: Datasets of the lake.
        options: How to run.
        say: Is told each partition in a line.
        ray_address: Run on a Ray cluster: its address, or an empty text for the local one; None runs here.
        refusals: What was refused before the job; by default a job of several models goes on without those that are.

    Raises:
        ConflictError: The only dataset's files changed, or the only model's partition exists with another fingerprint; nothing is
            written.
        InputError: The only model or none can be loaded, or the device does not exist; nothing of such a model is written.
        NumericalError: The only model gives NaN, infinity, or a value too large for the stored precision.
    """
    start = time.monotonic()
    _check_names(specs)
    datasets = [read_dataset(lake, name) for name in dataset_names]
    parts = [each.dataset for each in datasets if each.origin.options.parent in dataset_names]
    if parts and not options.replacing:
        names = [name for name in dataset_names if name not in parts], parts
        whole, rest = (
            run_job(lake, specs, each, options, say, ray_address=ray_address, refusals=refusals) for each in names
        )
        return whole + rest
    chosen = _runner(options.device, ray_address)
    refusals = refusals or Refusals()
    if len(specs) == 1 and not refusals.reasons:
        refusals = Refusals(whole=True)
    views: list[ModelSpec] = []
    for spec in specs:
        with refusals.of(spec.name):
            views += settle(lake.storage, spec).spec.views
    _fill_parts(lake, views, datasets, options, say)
    to_do: list[Task] = []
    hits: list[Mapping[str, str]] = []
    probe = Probe()
    for spec in views:
        with refusals.of(spec.name):
            ours, held = _plan_model(lake, spec, datasets, options, say, probe=probe)
            to_do += ours
            hits += held
    _say_hits(lake, hits, say)
    left_out = _changed(lake, datasets, {task.dataset.dataset for task in to_do}, say)
    refusals.reasons.update(left_out)
    to_do = [task for task in to_do if task.dataset.dataset not in left_out]
    say_notes([task.spec for task in to_do], say)
    times = Times()
    remarks: dict[str, str] = {}
    with chosen as runner:
        for tasks in passes(to_do):
            for taken, found in _attempts(lake, tasks, options, runner, say, refusals=refusals):
                for name in found.keys() - remarks.keys():
                    say(f"{name}: {found[name]}")
                times, remarks = times + taken, remarks | found
    failed = _failed(lake, [*(task.target.key for task in to_do), *hits])
    done = [task for task in to_do if f"{task.spec.name} on {task.dataset.dataset}" not in refusals.reasons]
    refusals.check_left(len(done) + len(hits))
    samples, seconds = sum(task.dataset.samples for task in done), time.monotonic() - start
    return ExtractionSummary(len(done), len(hits), samples, failed, seconds, times, dict(refusals.reasons))


def _fill_parts(
    lake: Lake, views: Sequence[ModelSpec], datasets: Sequence[DatasetRow], options: Options, say: Callable[[str], None]
) -> None:
    """Take activations on parts of other datasets from the rows of these, where the lake has them, and they are not asked for anew."""
    for dataset in datasets if not options.replacing else ():
        for spec in views if dataset.origin.options.parent else ():
            line = fill(lake, activations_target(spec, dataset, options), dataset)
            if line:
                say(line)


def _changed(
    lake: Lake, datasets: Sequence[DatasetRow], awaited: Collection[str], say: Callable[[str], None]
) -> dict[str, str]:
    """Why datasets are left out of a job of several: their images are away though they have to be read, or are others now.

    Raises:
        LakeError: So is the only one.
    """
    found: dict[str, str] = {}
    for dataset in datasets:
        listing = read_listing(lake, dataset.dataset)
        try:
            if dataset.dataset in awaited:
                check_unchanged(dataset, listing)
                check_contents(lake, dataset, listing)
            elif away := check_cached(lake, dataset, listing):
                say(away)
        except (InputError, ConflictError) as error:
            if len(datasets) == 1:
                raise
            found[dataset.dataset] = str(error)
    return found


def _failed(lake: Lake, keys: Sequence[Mapping[str, str]]) -> int:
    """How many samples of partitions could not be read."""
    manifests = [manifest for key in keys for manifest in lake.partitions("failures", **key)]
    return sum(part.rows for manifest in manifests for part in manifest.parts)


def _say_hits(lake: Lake, hits: Sequence[Mapping[str, str]], say: Callable[[str], None]) -> None:
    """Say what the lake held, dataset by dataset, and how accurate it is."""
    known = store_missing_accuracies(lake, hits, say)
    for name in dict.fromkeys(hit["dataset"] for hit in hits):
        models = [hit["model"] for hit in hits if hit["dataset"] == name]
        shares = sorted(known[model, name] for model in models if (model, name) in known)
        ends = dict.fromkeys(f"{share:.2%}" for share in (*shares[:1], *shares[-1:]))
        top1 = f", top-1 {' to '.join(ends)}" if ends else ""
        say(f"{name} by {called(models)}: in the lake already{top1}")


def _plan_model(
    lake: Lake,
    spec: ModelSpec,
    datasets: Sequence[DatasetRow],
    options: Options,
    say: Callable[[str], None],
    *,
    probe: Probe,
) -> tuple[list[Task], list[Mapping[str, str]]]:
    """What is to be done for a model and what is there; its recipe is corrected, and its row written if it is gone."""
    settled = settle(lake.storage, spec)
    to_do, hits = plan(lake, settled.spec, datasets, options, corrected=bool(settled.changed), probe=probe)
    if settled.changed:
        say(correct(lake, settled))
    if not to_do and not lake.partitions("models", model=spec.name):
        model = loaded_model(settled.spec, "cpu", replace(options, amp="off", compiling=False))
        write_model(lake.storage, model, replacing=False)
        say(f"{spec.name}: its row of models was gone, and is written again")
    return to_do, hits


def _runner(device: str, ray_address: str | None) -> AbstractContextManager[Runner]:
    if ray_address is not None:
        return nullcontext(on_ray(ray_address or None, device))
    devices = split_devices(device)
    return on_devices(devices) if len(devices) > 1 else nullcontext(run_here)


def _attempts(
    lake: Lake,
    tasks: Sequence[Task],
    options: Options,
    runner: Runner,
    say: Callable[[str], None],
    *,
    refusals: Refusals,
) -> Iterator[tuple[Times, dict[str, str]]]:
    """A pass, and where a model of it is refused, that one by itself, or each if it is not known which: what was written is kept."""
    if len(tasks) > 1:
        try:
            yield _extract(lake, tasks, options, runner, say)
        except OF_ONE_MODEL as error:
            for part in _apart(tasks, blamed(error)):
                yield from _attempts(lake, part, options, runner, say, refusals=refusals)
        return
    with refusals.of(f"{tasks[0].spec.name} on {tasks[0].dataset.dataset}"):
        yield _extract(lake, tasks, options, runner, say)


def _apart(tasks: Sequence[Task], name: str | None) -> list[list[Task]]:
    """The tasks of a pass without those of the network that failed it, which come last, each by itself."""
    others = [task for task in tasks if task.spec.base_name != name]
    alone = [[task] for task in tasks if name is None or task not in others]
    return [others, *alone] if alone and name is not None else alone


def _extract(
    lake: Lake,
    tasks: Sequence[Task],
    options: Options,
    runner: Runner,
    say: Callable[[str], None],
) -> tuple[Times, dict[str, str]]:
    """One pass over a dataset for some models, in units, then its commits; and remarks on models."""
    start, looked_at = time.monotonic(), time.time_ns()
    dataset = tasks[0].dataset
    units = _units(tasks, options, one=runner is run_here)
    title = f"{dataset.dataset} by {called([task.spec.name for task in tasks])}"
    with options.bars(title, dataset.samples) as advance:
        written = list(runner(_place(lake), units, advance))
    seconds = time.monotonic() - start
    times = sum((result.times for result in written), Times())
    details = job_details(options, seconds, times, {result.device for result in written})
    settle_contents(lake, dataset, options.fragment_rows, written, looked_at)
    cut, committed = cut_down(written), []
    for task in tasks:
        own: dict[str, Any] = {"batch_cut_to": cut[task.spec.name]} if task.spec.name in cut else {}
        own[NOTE] = task.spec.places
        committed.append(commit_task(lake, task, written, {**details, **own}, replacing=options.replacing))
    failed = max(made.failed for made in committed)
    say(
        f"{title}: {dataset.samples - failed:,} samples"
        + (f", {failed:,} that could not be read" if failed else "")
        + f" ({dataset.samples / seconds:,.0f} images/s)"
    )
    for task, made in zip(tasks, committed, strict=True):
        store_accuracy(lake, task.target.key, made.part, predictions_of(lake, task, written, made), say)
    for task, made in zip(tasks, committed, strict=True):
        if made.said:
            say(f"{task.spec.name} on {dataset.dataset}: {made.said}")
    for name, size in cut.items():
        say(f"{name}: batches of {options.batch_size} did not fit in memory, and ran {size} images at a time")
    return times, {name: remark for unit in written for name, remark in unit.remarks.items()}


def _place(lake: Lake) -> str:
    """The lake's location for other processes, whose working folder may be another."""
    return lake.location if "://" in lake.location else str(Path(lake.location).expanduser().absolute())


def _units(tasks: Sequence[Task], options: Options, *, one: bool) -> list[Unit]:
    """A pass as one unit, or for many hands as one unit per few fragments. The bar stays here: units may run elsewhere."""
    numbers = range(len(fragment_ranges(tasks[0].dataset.samples, options.fragment_rows)))
    step = max(len(numbers), 1) if one else _FRAGMENTS_PER_UNIT
    options = replace(options, bars=no_bar)
    return [Unit(tasks, numbers[start : start + step], options) for start in range(0, len(numbers), step)]


def _check_names(specs: Sequence[ModelSpec]) -> None:
    seen: set[str] = set()
    for spec in specs:
        check_slug("model", spec.name)
        if spec.name in seen:
            raise InputError(f"Two models are called {spec.name!r}: give each a name of its own in a --pool file.")
        seen.add(spec.name)
