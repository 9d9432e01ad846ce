"""Joining a Ray cluster, or starting one on this machine."""

from __future__ import annotations

import importlib
import os
import re
import socket
from typing import Any

from featurestore.errors import ClusterError, first_line

_PATIENCE = 5.0
_PLACE = re.compile(r"(?:ray://)?\[?(?P<host>[^\[\]]+)\]?:(?P<port>\d+)")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def join(address: str | None) -> Any:
    """The module `ray`, connected; a connection that there is already is used as it is.

    Args:
        address: The cluster's address; None takes `$RAY_ADDRESS`, else a cluster on this machine, else starts one.

    Raises:
        ClusterError: No cluster answers at that address.
        ModuleNotFoundError: Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray: Any = importlib.import_module("ray")
    if not ray.is_initialized():
        _connect(ray, address)
    return ray


def result(ray: Any, reference: Any) -> Any:
    """A task's result, or the error that it raised itself rather than Ray's account of it."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause or error from error


def _connect(ray: Any, address: str | None) -> None:
    wanted = address or os.environ.get("RAY_ADDRESS")
    place = _PLACE.fullmatch(wanted or "")
    if place and not _answers(ray, place["host"], int(place["port"])):
        raise ClusterError(
            f"No Ray cluster answers at {wanted}: start one with `ray start --head`, or leave the address out."
        )
    try:
        ray.init(address=address, log_to_driver=False)
    except (ValueError, ConnectionError, RuntimeError) as error:
        raise ClusterError(
            f"Cannot join the Ray cluster at {wanted or 'this machine'}: {first_line(error)}."
        ) from error


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
