"""What a measurement depends on beside the code that is measured: machine, versions, commit, and what else was running."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from featurestore.machine import cores

PACKAGES = (
    *("numpy", "scipy", "pyarrow", "duckdb", "polars", "obstore", "torch", "torchvision", "timm", "pillow"),
    *("pytorch-ood", "faiss-cpu", "scikit-learn", "torchmetrics"),
)
"""Whose versions are told, where they are installed: what the product stands on, and its peers."""
MEASURED = ("featurestore", "extract", "analysis", "sql", "benchmarks", "pyproject.toml", ":!benchmarks/history.jsonl")
ROOT = Path(__file__).parents[1]


def machine() -> str:
    """Processor, cores, memory and GPU, in words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    torch = sys.modules.get("torch")
    gpu = torch.cuda.get_device_name() if torch and torch.cuda.is_available() else "no GPU"
    return f"{_processor()}, {cores()} cores, {memory:.0f} GiB, {gpu}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Of Python, of the packages that are installed, and the threads of linear algebra where somebody has set them."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    threads = os.environ.get("OMP_NUM_THREADS")
    return found | ({"OMP_NUM_THREADS": threads} if threads else {})


def commit() -> str:
    """The last commit that touched what is measured, with a + where there are changes since; empty outside of a clone."""
    last = _git("log", "-1", "--format=%h", "--", *MEASURED)
    return last + ("+" if last and _git("status", "--porcelain", "--", *MEASURED) else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=False, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def _busy() -> float:
    """Seconds that all cores together have not been idle since the machine's start."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return float("nan")
    user, nice, system, _, _, *interrupts = map(int, stat.read_text(encoding="ascii").split("\n")[0].split()[1:9])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def _own() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


@dataclass(frozen=True)
class Clock:
    """Begins with a run, and tells at its end how long it took and how busy others kept the machine."""

    began: float = field(default_factory=time.time)
    busy: float = field(default_factory=_busy)
    own: float = field(default_factory=_own)

    def elapsed(self) -> float:
        """Seconds."""
        return time.time() - self.began

    def used(self) -> float:
        """Seconds of processor time of this process, and of those that it has waited for."""
        return _own() - self.own

    def others(self) -> float:
        """Cores that were busy with what is neither this process nor one that it has waited for, on average; NaN if unknown."""
        return max(0.0, (_busy() - self.busy - self.used()) / max(self.elapsed(), 1e-9))
