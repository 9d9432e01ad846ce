"""A process that has imported all that commands need, and forks one for each command: each begins within milliseconds.

It reads a JSON line for each request from standard input, and answers with one on standard output: `begin` forks and tells the number of the
process, `wait` waits for its end and tells how it ended.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults import shim

if TYPE_CHECKING:
    from collections.abc import Callable

LIGHT = (
    "duckdb",
    "polars",
    "rich.table",
    "featurestore.cli.app",
    "featurestore.verbs",
    "featurestore.care.verify",
    "obstore.store",
)
NEEDED = (
    *LIGHT, "torch", "timm", "PIL.Image", "jinja2", "altair", "vl_convert", "safetensors.torch", "extract.job", "extract.job.run", "extract.models.network",
    "extract.pools.selection", "extract.datasets", "analysis.scoring", "analysis.report", "analysis.status", "analysis.studies",
    "analysis.detectors.registry", "obstore.fsspec", "torch.utils.data", "scipy.stats", "scipy.linalg",
)  # fmt: skip
_STEP = 0.01


def main() -> None:
    """Serve until standard input ends."""
    for name in LIGHT if "light" in sys.argv else NEEDED:
        with contextlib.suppress(ImportError):  # another version has other rooms
            importlib.import_module(name)
    gc.freeze()  # whoever is forked collects its own garbage alone
    answers = os.dup(1)
    os.dup2(2, 1)
    os.write(answers, b"{}\n")
    for line in sys.stdin:
        request = json.loads(line)
        if request["verb"] == "begin":
            ready, told = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(answers)
                os._exit(_become(request, told))
            os.close(told)
            os.read(ready, 1)
            os.close(ready)
            answer = {"process": child}
        else:
            answer = _wait(request["process"], request["seconds"])
        os.write(answers, f"{json.dumps(answer)}\n".encode())


def _wait(child: int, seconds: float) -> dict[str, Any]:
    """How a child ends; one that does not end in time is ended, and said to hang."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status, usage = os.wait4(child, os.WNOHANG)
        if found:
            return {"code": os.waitstatus_to_exitcode(status), "seconds": usage.ru_utime + usage.ru_stime}
        time.sleep(_STEP)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return {"code": "hangs", "seconds": seconds}


def _become(request: dict[str, Any], told: int) -> int:
    """Be the command: a session of its own, its files, its environment, its fault; then run to the end, as a new process would."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, place in enumerate((os.devnull, request["out"], request["err"])):
        file = os.open(place, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    for stream, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        setattr(sys, stream, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115
    os.environ.update(request["environment"])
    os.environ.pop("LD_PRELOAD", None)
    os.chdir(request["folder"])
    tempfile.tempdir = None
    sys.argv = ["featurestore", *request["arguments"]]
    fault = shim.DiskFault(*request["fault"])
    shim.arm(fault, request["below"], request["clock"])
    from featurestore.__main__ import main as command

    os.close(told)
    code = _run(command)
    if fault.kind == "count":
        Path(request["err"] + ".calls").write_text(json.dumps(shim.calls()), encoding="utf-8")
    return code


def _run(command: Callable[[], None]) -> int:
    """Run to the end, with all that Python does there but to take apart what the server had imported; returns the exit code."""
    try:
        command()
        code: Any = 0
    except SystemExit as stop:
        code = stop.code or 0
    except BaseException:  # noqa: BLE001 # as Python itself
        traceback.print_exc()
        code = 1
    with contextlib.suppress(AttributeError):
        threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code if isinstance(code, int) else 1


if __name__ == "__main__":
    main()
