"""What extraction asks of a Ray cluster: devices."""

from __future__ import annotations

from typing import Any

from featurestore import ray_cluster
from featurestore.errors import InputError


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


def check_device(device: str) -> None:
    """Raise if a device cannot be asked of a cluster, which hands out GPUs by itself.

    Raises:
        InputError: It is neither auto, cpu nor cuda.
    """
    if device not in {"auto", "cpu", "cuda"}:
        raise InputError(f"With --ray, --device is auto, cpu or cuda, not {device!r}: Ray chooses which GPUs.")
