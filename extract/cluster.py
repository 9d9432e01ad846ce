"""Joining a Ray cluster, or starting one on this machine."""

from __future__ import annotations

import importlib
import os
import re
import socket
from typing import Any

from extract.checkpoints import first_line
from featurestore.errors import InputError

_PATIENCE = 5.0
_PLACE = re.compile(r"(?:ray://)?\[?(?P<host>[^\[\]]+)\]?:(?P<port>\d+)")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def join(address: str | None, device: str) -> Any:
    """The module `ray`, connected; a connection that there is already is used as it is.

    Args:
        address: The cluster's address; None takes `$RAY_ADDRESS`, else a cluster on this machine, else starts one.
        device: What units will ask for: `auto`, `cpu` or `cuda`.

    Raises:
        InputError: No cluster answers at that address, or it has no GPU and `device` is `cuda`.
        ModuleNotFoundError: Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray: Any = importlib.import_module("ray")
    if not ray.is_initialized():
        _connect(ray, address)
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


def _connect(ray: Any, address: str | None) -> None:
    wanted = address or os.environ.get("RAY_ADDRESS")
    place = _PLACE.fullmatch(wanted or "")
    if place and not _answers(ray, place["host"], int(place["port"])):
        raise InputError(
            f"No Ray cluster answers at {wanted}: start one with `ray start --head`, or leave the address out."
        )
    try:
        ray.init(address=address, log_to_driver=False)
    except (ValueError, ConnectionError, RuntimeError) as error:
        raise InputError(f"Cannot join the Ray cluster at {wanted or 'this machine'}: {first_line(error)}.") from error


def _answers(ray: Any, host: str, port: int) -> bool:
    """Whether anything listens there: Ray itself would try for minutes."""
    hosts = [host, ray.util.get_node_ip_address()] if host in _LOOPBACK else [host]
    return any(_listens(name, port) for name in hosts)


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), _PATIENCE).close()
    except OSError:
        return False
    return True
