"""How many threads are worth starting."""

from __future__ import annotations

import os


def cores() -> int:
    """Cores that this process may use: those it is bound to, where the system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
