"""Commands in processes of their own, what befalls them, and what they leave."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.faults import shim
from tests.faults.shim import DiskFault

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

ROOT = Path(__file__).parents[2]
_LONGEST = 240.0
"""Seconds after which a command is said to hang."""
_GRACE = 20.0
"""Seconds that processes have to follow one that was killed: those that decode images look every five."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended.

    Attributes:
        code: Its exit code, that of a signal below 0, or `hangs`.
        out: What it printed.
        err: What it printed on standard error.
        seconds: That it took of the processor, with the children that it waited for; 0 where nobody measured.
        calls: On files, and of these those that write, if they were counted.
        left: Processes of its session that were there after it had ended, and temporary files.
    """

    code: int | str
    out: str
    err: str
    seconds: float
    calls: tuple[int, int] = (0, 0)
    left: tuple[str, ...] = ()


@dataclass(slots=True)
class Running:
    """A command that runs.

    Attributes:
        process: Its number.
        scratch: The folder of what it prints.
        temporary: That of its temporary files.
    """

    process: int
    scratch: Path
    temporary: Path
    began: float = field(default_factory=time.monotonic)

    def signal(self, number: int) -> None:
        """Send a signal; Ctrl-C goes to all processes of the terminal."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if number == signal.SIGINT else os.kill)(self.process, number)

    def kill_a_child(self) -> bool:
        """Kill a process that it started, if there is one."""
        children = [number for number, (parent, _, _) in processes().items() if parent == self.process]
        for child in children[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        return bool(children)


class Server:
    """Starts commands, forked from a process that has imported everything; a context manager.

    Args:
        folder: For the shim, and for what commands print.
        light: Whether it imports nothing that makes or scores activations.
        package: Where the package lies that it imports: another version of it, if that is elsewhere.
    """

    def __init__(self, folder: Path, *, light: bool = False, package: Path = ROOT) -> None:
        self.folder, self._light, self._package = folder, light, package
        self._number = 0

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join(map(str, dict.fromkeys((self._package, ROOT))))
        own = {"LD_PRELOAD": str(shim.build(self.folder)), "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FEATURESTORE_")}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.server", *["light"] * self._light], cwd=self._package, env={**environment, **own},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._server.stdout
        self._server.stdout.readline()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.close()
        self._server.wait(60)
        self._server.stdout.close()

    def begin(
        self,
        arguments: tuple[str, ...],
        folder: Path,
        fault: DiskFault | None = None,
        clock: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> Running:
        """Start a command in a folder, below which a fault befalls files, and by a clock that is so many seconds wrong."""
        self._number += 1
        scratch = self.folder / f"run-{os.getpid()}-{self._number}"
        temporary = folder / "tmp"
        for made in (scratch, temporary):
            made.mkdir(parents=True, exist_ok=True)
        fault = fault or DiskFault("none")
        answer = self._ask(
            verb="begin", arguments=arguments, folder=str(folder), out=str(scratch / "out"), err=str(scratch / "err"),
            environment={"TMPDIR": str(temporary), "FEATURESTORE_CACHE": str(folder / "cache"), **(environment or {})},
            fault=[fault.kind, fault.at], below=str(folder), clock=clock,
        )  # fmt: skip
        return Running(answer["process"], scratch, temporary)

    def end(self, running: Running, *, grace: float = _GRACE) -> Outcome:
        """Wait for a command's end, and look at what it leaves; processes have some seconds to follow it."""
        answer = self._ask(verb="wait", process=running.process, seconds=_LONGEST)
        left = (*_left_processes(running.process, grace), *_left_files(running))
        calls = running.scratch / "err.calls"
        return Outcome(
            answer["code"],
            _text(running.scratch / "out"),
            _text(running.scratch / "err"),
            answer["seconds"],
            tuple(json.loads(calls.read_text())) if calls.exists() else (0, 0),
            left,
        )

    def run(self, arguments: tuple[str, ...], folder: Path, **how: Any) -> Outcome:
        """Run a command to its end."""
        return self.end(self.begin(arguments, folder, **how))

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(f"{json.dumps(request)}\n")
        self._server.stdin.flush()
        answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        return answer


def processes() -> dict[int, tuple[int, int, str]]:
    """Of each process its parent, its session and its state."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                found[int(entry.name)] = int(fields[1]), int(fields[3]), fields[0]
    return found


def _left_processes(session: int, grace: float) -> list[str]:
    """Those of a session that are there and do not end by themselves."""
    end = time.monotonic() + grace
    while left := [str(n) for n, (_, its, state) in processes().items() if its == session and state not in "ZX"]:
        if time.monotonic() > end:
            return [f"process {number}: {_text(Path('/proc', number, 'cmdline'))!r}" for number in left]
        time.sleep(0.1)
    return []


def _left_files(running: Running) -> list[str]:
    shared = Path("/dev/shm").glob(f"torch_{running.process}_*")
    return list(map(str, (*filter(Path.is_file, running.temporary.rglob("*")), *shared)))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
