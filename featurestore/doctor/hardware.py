"""What the machine has: cores, memory, and memory that processes share."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.doctor.finding import Finding
from featurestore.machine import cores
from featurestore.quantities import bytes_text

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHARED = Path("/dev/shm")  # noqa: S108 # nothing is written there
_ENOUGH_SHARED = 1_000_000_000
_LIMITS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)
"""What a container may use, and uses."""


def examine_hardware(shared: Path = _SHARED) -> Iterator[Finding]:
    """Cores and memory that this process may use.

    Args:
        shared: Where memory is that processes share; on some systems there is no such folder.
    """
    mine, all_ = cores(), os.cpu_count() or 1
    of_all = f" of {all_}" if mine != all_ else ""
    yield Finding("cores", f"{mine}{of_all}; extraction decodes in up to {min(mine, 16)} processes", {"usable": mine})
    total, free = memory()
    said = f"{bytes_text(free)} free of {bytes_text(total)}" if total else "not known"
    yield Finding("memory", said, {"bytes": total, "free_bytes": free})
    if shared.is_dir():
        yield _shared_memory(shared)


def memory(folder: Path = Path("/proc"), limits: tuple[tuple[Path, Path], ...] = _LIMITS) -> tuple[int, int]:
    """Bytes of memory in all, and free ones; those of the container, if it has fewer; 0 where the system does not say.

    Args:
        folder: Where the system tells of its memory.
        limits: Files with what a container may use, and uses.
    """
    try:
        lines = (folder / "meminfo").read_text(encoding="ascii")
    except OSError:
        return 0, 0
    kilobytes = {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+) kB$", lines, re.MULTILINE)}
    total, free = kilobytes.get("MemTotal", 0) * 1024, kilobytes.get("MemAvailable", 0) * 1024
    for limit_file, used_file in limits:
        try:
            limit, used = int(limit_file.read_text()), int(used_file.read_text())
        except (OSError, ValueError):  # there is no limit
            continue
        if limit < total:
            total, free = limit, min(free, max(limit - used, 0))
    return total, free


def _shared_memory(folder: Path) -> Finding:
    state = os.statvfs(folder)
    total, free = state.f_blocks * state.f_frsize, state.f_bavail * state.f_frsize
    values = {"bytes": total, "free_bytes": free}
    said = f"{bytes_text(free)} free of {bytes_text(total)} in {folder}"
    if free >= _ENOUGH_SHARED:
        return Finding("shared memory", said, values)
    trouble = (
        f"{folder} has {bytes_text(free)} free, through which worker processes hand over batches of images: give a container "
        "more (--shm-size 8g), or extract with --workers 0."
    )
    return Finding("shared memory", said, values, (trouble,))
