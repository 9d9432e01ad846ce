"""Who runs the units: this process, one process per device, or the nodes of a Ray cluster."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from extract.images.workers import decoders
from extract.job.unit import Written, check_weights, run_unit
from featurestore import ray_cluster
from featurestore.errors import InputError
from featurestore.machine import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from extract.job.unit import Unit

    Advance: TypeAlias = Callable[[int], None]
    Runner: TypeAlias = Callable[[str, Sequence[Unit], Advance], Iterator[Written]]

_RETRIES = 5
"""How often Ray starts a unit again whose node died."""


def run_here(location: str, units: Sequence[Unit], advance: Advance) -> Iterator[Written]:
    """Run units one after the other."""
    for unit in units:
        yield run_unit(location, unit, advance)


@contextmanager
def on_devices(devices: Sequence[str]) -> Iterator[Runner]:
    """A runner with one process for each device; a process takes the next unit when it is done with one.

    Each decodes in its share of the cores. The processes live until the end of the block, and keep their models from one call to the next.
    """
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    for device in devices:
        queue.put(device)
    pool = ProcessPoolExecutor(len(devices), context, _take_device, (queue,))

    def run(location: str, units: Sequence[Unit], advance: Advance) -> Iterator[Written]:
        share = max(1, cores() // len(devices))
        futures = {pool.submit(_run_on_own_device, location, _decoding(unit, share)): unit for unit in units}
        for future in as_completed(futures):
            advance(futures[future].samples)
            yield future.result()

    try:
        yield run
    finally:
        pool.shutdown(cancel_futures=True)


def on_ray(address: str | None, device: str) -> Runner:
    """A runner that hands units to a Ray cluster; a unit whose node dies runs again on another.

    Without GPU, each unit has one CPU, and decodes and computes there: many units at once use a node better than many
    threads in one. Where the cluster has GPUs, `auto` and `cuda` give each unit one, with its share of the CPUs to decode.

    Args:
        address: The cluster's address; None starts or joins a local one.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        InputError: The device is another, or the cluster has no GPU and `device` is `cuda`.
        ClusterError: No cluster answers at that address.
        ModuleNotFoundError: Ray is not installed.
    """
    if device not in {"auto", "cpu", "cuda"}:
        raise InputError(f"With --ray, --device is auto, cpu or cuda, not {device!r}: Ray chooses which GPUs.")

    def run(location: str, units: Sequence[Unit], advance: Advance) -> Iterator[Written]:
        ray = ray_cluster.join(address)
        gpus = 1 if device != "cpu" and int(ray.cluster_resources().get("GPU", 0)) else 0
        if device == "cuda" and not gpus:
            raise InputError("The Ray cluster has no GPU: use --device cpu.")
        cpus = cpus_per_gpu(ray.nodes()) if gpus else 1
        remote: Any = ray.remote(_run_on_node).options(max_retries=_RETRIES, num_gpus=gpus, num_cpus=cpus)
        waiting = {remote.remote(location, _decoding(unit, cpus if gpus else 0)): unit for unit in units}
        while waiting:
            (done,), _ = ray.wait(list(waiting), num_returns=1)
            written: Written = ray_cluster.result(ray, done)
            advance(waiting.pop(done).samples)
            yield written

    return run


def cpus_per_gpu(nodes: Sequence[Mapping[str, Any]]) -> int:
    """How many CPUs each GPU of a cluster can have for itself, on whichever node: they decode what the GPU computes.

    Args:
        nodes: As `ray.nodes()` lists them.
    """
    held = [node["Resources"] for node in nodes if node["Alive"] and node["Resources"].get("GPU")]
    return max(1, min((int(node.get("CPU", 0) // node["GPU"]) for node in held), default=1))


def _decoding(unit: Unit, share: int) -> Unit:
    """The unit, told in how many processes to decode; with no share of the cores, in its own."""
    workers = decoders(unit.options.workers, unit.samples, share) if share else unit.options.workers or 0
    return replace(unit, options=replace(unit.options, workers=workers))


def _run_quietly(location: str, unit: Unit) -> Written:
    return run_unit(location, unit, lambda _: None)


def _run_on_node(location: str, unit: Unit) -> Written:
    check_weights(unit)
    return _run_quietly(location, unit)


_own_device: list[str] = []


def _take_device(queue: Any) -> None:
    _own_device.append(queue.get())


def _run_on_own_device(location: str, unit: Unit) -> Written:
    return _run_quietly(location, replace(unit, options=replace(unit.options, device=_own_device[0])))
