"""The shim in C that stands between a process and its disk: built once, and told what to do in a process that it was loaded into."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
KINDS = ("none", "count", "full", "broken", "killed", "slow")


@dataclass(frozen=True, slots=True)
class DiskFault:
    """What befalls the calls on files below a folder.

    Attributes:
        kind: `count` only counts; `full` is from a call on, as a disk that stays full; `broken` fails one call; `killed` ends
            the process before a call; `slow` lets each wait.
        at: The number of the call, from 1; for `slow`, microseconds.
    """

    kind: str
    at: int = 0


def compiler() -> str | None:
    """The C compiler of this machine, if there is one."""
    return shutil.which("cc") or shutil.which("gcc")


def build(folder: Path) -> Path:
    """Build the shim in a folder, unless it is there."""
    library = folder / "faults_shim.so"
    if not library.exists():
        subprocess.run(
            [compiler() or "cc", "-O1", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True, timeout=120
        )
    return library


def arm(fault: DiskFault, below: str, clock: int = 0) -> None:
    """Let it befall this process from now on, and its children; the clock is so many seconds wrong."""
    shim = ctypes.CDLL(None)
    shim.faults_clock.argtypes = [ctypes.c_long]
    shim.faults_clock(clock)
    shim.faults_arm.argtypes = [ctypes.c_int, ctypes.c_long, ctypes.c_char_p]
    shim.faults_arm(KINDS.index(fault.kind), fault.at, below.encode())


def calls() -> tuple[int, int]:
    """How many calls there were in this process since it was armed, and how many of these write."""
    shim = ctypes.CDLL(None)
    shim.faults_calls.restype = ctypes.c_long
    return int(shim.faults_calls(0)), int(shim.faults_calls(1))
