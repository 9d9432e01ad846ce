"""What extraction asks of a Ray cluster: devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from featurestore import ray_cluster
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def join(address: str | None, device: str) -> Any:
    """The module `ray`, connected to a cluster that has the device.

    Args:
        address: As for `ray_cluster.join`.
        device: What units will ask for: `auto`, `cpu` or `cuda`.

    Raises:
        InputError: No cluster answers at that address, or it has no GPU and `device` is `cuda`.
        ModuleNotFoundError: Ray is not installed.
    """
    ray = ray_cluster.join(address)
    if device == "cuda" and not gpus(ray):
        raise InputError("The Ray cluster has no GPU: use --device cpu.")
    return ray


def gpus(ray: Any) -> int:
    """How many GPUs the cluster has."""
    return int(ray.cluster_resources().get("GPU", 0))


def cpus_per_gpu(nodes: Sequence[Mapping[str, Any]]) -> int:
    """How many CPUs each GPU of a cluster can have for itself, on whichever node: they decode what the GPU computes.

    Args:
        nodes: As `ray.nodes()` lists them.
    """
    held = [node["Resources"] for node in nodes if node["Alive"] and node["Resources"].get("GPU")]
    return max(1, min((int(node.get("CPU", 0) // node["GPU"]) for node in held), default=1))


def check_device(device: str) -> None:
    """Raise if a device cannot be asked of a cluster, which hands out GPUs by itself.

    Raises:
        InputError: It is neither auto, cpu nor cuda.
    """
    if device not in {"auto", "cpu", "cuda"}:
        raise InputError(f"With --ray, --device is auto, cpu or cuda, not {device!r}: Ray chooses which GPUs.")
