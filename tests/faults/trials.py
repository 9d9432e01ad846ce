"""One trial: a command that something befalls, run again until it ends, held against the same command in peace."""

from __future__ import annotations

import shutil
import signal
import time
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import duckdb

from featurestore import Lake
from tests.faults.lakes import COMMANDS, Command, Templates, answers, parts, rows
from tests.faults.shim import DiskFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.faults.processes import Outcome, Running, Server

SENTENCE = "Interrupted; run the same command again to go on.\n"
DAY = 86400
_TRIES = 12
SIGNALS = {"kill -9": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "Ctrl-C": signal.SIGINT}
DISKS = {"killed at a disk call": "killed", "disk full": "full", "I/O error": "broken"}
FAULTS = (*SIGNALS, *DISKS, "slow disk", "clock a day back", "worker killed")


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a trial.

    Attributes:
        happened: What became of the command that the fault befell: `ended`, `said so`, `killed`, `interrupted`.
        problems: What should not be; empty if all holds.
    """

    happened: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Peace:
    """A command that nothing befell.

    Attributes:
        seconds: How long it took, by the clock.
        calls: On files below its folder, and how many of these write.
        place: Where its lake stays.
        state: What it leaves, as `Bench.state` has it.
    """

    seconds: float
    calls: tuple[int, int]
    place: Path
    state: Any


class Bench:
    """A place for trials of one command.

    Args:
        folder: Where their lakes are made and deleted.
        name: The command.
        templates: The lakes in which commands begin.
        server: What starts them.
        commands: Commands by name.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        templates: Templates,
        server: Server,
        commands: Mapping[str, Command] = COMMANDS,
    ) -> None:
        self._folder, self.name, self._templates, self._server = folder, name, templates, server
        self.command = commands[name]

    @cached_property
    def peace(self) -> Peace:
        """The command in peace, run until it has nothing more to do."""
        place = self._prepared()
        start = time.monotonic()
        outcome = self._server.end(self._begin(place, DiskFault("count")))
        seconds = time.monotonic() - start
        if outcome.code:
            raise RuntimeError(f"{self.name} in peace ended with {outcome.code}: {outcome.err}")
        self._again(place, self.command.again - 1)
        return Peace(seconds, outcome.calls, place, self.state(place))

    def trial(self, fault: str, seed: str) -> Result:
        """Let a fault befall the command at a moment that the seed chooses, and look at all that follows."""
        random = Random(f"{self.name} {fault} {seed}")
        for attempt in range(_TRIES):
            place = self._prepared()
            outcome = self._befallen(place, fault, random)
            if outcome is None and attempt < _TRIES - 1:
                shutil.rmtree(place)
                continue
            problems = [*self._unseemly(fault, outcome, place), *self._afterwards(place)] if outcome else []
            shutil.rmtree(place)
            return Result(_happened(outcome), tuple(problems))
        raise AssertionError("unreachable")

    def state(self, place: Path) -> Any:
        """All that counts of what a command leaves."""
        places = self._places(place)
        made = self.command.made.format(**places)
        extra: Any = None
        if made.endswith("duckdb"):
            extra = self._rows_of(made)
        elif made.endswith("html"):
            extra = Path(made).stat().st_size > 10_000
        elif made:
            extra = rows(made), answers(made)
        files = sorted(Lake(places["lake"]).storage.names("")) if self.name == "gc" else ()
        return answers(places["lake"]), parts(places["lake"]), extra, files

    def _prepared(self) -> Path:
        place = self._folder / f"{self.name}-{uuid.uuid4().hex[:8]}"
        place.mkdir(parents=True)
        self._templates.place(self.command.begins_as, place / "lake")
        return place

    def _places(self, place: Path) -> dict[str, str]:
        """What stands for names in arguments."""
        own = {"folder": str(place), "lake": str(place / "lake"), "target": str(place / "target")}
        other = str(self._templates.made("other")) if self.name == "merge" else ""
        return {**own, "sources": str(self._templates.sources), "other": other}

    def _begin(
        self,
        place: Path,
        fault: DiskFault | None = None,
        clock: int = 0,
        arguments: tuple[str, ...] = (),
        server: Server | None = None,
    ) -> Running:
        places = self._places(place)
        typed = tuple(argument.format(**places) for argument in arguments or self.command.arguments)
        variables = {"FEATURESTORE_LAKE": places["lake"], **self._variables()}
        return (server or self._server).begin(typed, place, fault, clock, variables)

    def _variables(self) -> dict[str, str]:
        """Of the environment, what a command needs to reach its lake."""
        return {}

    def _befallen(self, place: Path, fault: str, random: Random) -> Outcome | None:
        """Run the command and let the fault befall it; None if it ended before."""
        peace = self.peace
        if fault in SIGNALS:
            running = self._begin(place)
            time.sleep(random.uniform(0, peace.seconds))
            running.signal(SIGNALS[fault])
            outcome = self._server.end(running, grace=1.0 if fault == "Ctrl-C" else 20.0)
            return None if outcome.code == 0 else outcome
        if fault == "worker killed":
            return self._without_a_worker(place, random)
        if fault == "clock a day back":
            return self._server.end(self._begin(place, clock=-DAY))
        if fault == "slow disk":
            return self._server.end(self._begin(place, DiskFault("slow", 1000)))
        at = random.randint(1, max(1, peace.calls[DISKS[fault] == "full"]))
        outcome = self._server.end(self._begin(place, DiskFault(DISKS[fault], at)))
        return None if outcome.code == 0 and fault != "I/O error" else outcome

    def _without_a_worker(self, place: Path, random: Random) -> Outcome | None:
        running = self._begin(place)
        time.sleep(random.uniform(0, self.peace.seconds * 0.5))
        while not (killed := running.kill_a_child()) and time.monotonic() < running.began + self.peace.seconds * 2:
            time.sleep(0.005)
        outcome = self._server.end(running)
        return outcome if killed else None

    def _unseemly(self, fault: str, outcome: Outcome, place: Path) -> list[str]:
        """What the command that the fault befell should not have done."""
        found = [f"left {left}" for left in outcome.left if outcome.code not in (-9, -15) or left.startswith("process")]
        if "Traceback" in outcome.err:
            found.append(f"a traceback: {outcome.err[-1500:]}")
        if outcome.code == "hangs":
            found.append("it hangs")
        if fault == "Ctrl-C":
            found += [] if outcome.code == 130 else [f"exit code {outcome.code} of Ctrl-C: {outcome.err[-500:]}"]
            found += (
                []
                if outcome.err.endswith(SENTENCE) and outcome.err.count(SENTENCE) == 1
                else [f"it says {outcome.err[-500:]!r}"]
            )
        elif outcome.code == 1 and not outcome.err.splitlines()[-1:][0].startswith("Error: "):
            found.append(f"no sentence: {outcome.err[-500:]!r}")
        elif fault in {"slow disk", "clock a day back"} and outcome.code != 0:
            found.append(f"exit code {outcome.code}: {outcome.err[-500:]}")
        if outcome.code not in (-9, -15) and fault != "I/O error":  # such a disk may not delete
            found += [
                f"staged: {path.relative_to(place)}" for path in place.rglob(".staged-*") if "0123" not in path.name
            ]
        return found

    def _afterwards(self, place: Path) -> list[str]:
        """What is wrong after the command has been run again."""
        found = self._again(place, self.command.again)
        verdict = self._server.end(self._begin(place, arguments=("verify", "--deep")))
        if verdict.code:
            found.append(f"verify --deep: {verdict.out[-800:]} {verdict.err[-300:]}")
        state = self.state(place)
        for what, here, there in zip(
            ("answers", "parts", self.command.made, "files"), state, self.peace.state, strict=True
        ):
            if here != there and not (what == "parts" and self._same_rows(place)):
                differing = f": {sorted({*here} ^ {*there})[:9]}" if what == "files" else ""
                found.append(f"other {what} than in peace{differing}")
        return found

    def _rows_of(self, catalog: str) -> dict[str, int]:
        """How many rows each of a catalog's views has."""
        with duckdb.connect(catalog, read_only=True) as connection:
            listed = connection.execute("select view_name from duckdb_views() where not internal").fetchall()
            return {
                name: connection.execute(f'select count(*) from "{name}"').fetchone()[0]  # type: ignore[index]
                for (name,) in sorted(listed)
            }

    def _same_rows(self, place: Path) -> bool:
        return rows(self._places(place)["lake"]) == rows(self._places(self.peace.place)["lake"])

    def _again(self, place: Path, times: int) -> list[str]:
        found = []
        for _ in range(times):
            outcome = self._server.end(self._begin(place))
            is_done = self.command.done and self.command.done in outcome.err
            if outcome.code and not is_done:
                found.append(f"run again it ends with {outcome.code}: {outcome.err[-800:]}")
        return found


def _happened(outcome: Outcome | None) -> str:
    if outcome is None:
        return "ended before"
    named = {0: "ended", 1: "said so", 3: "said so", 130: "interrupted", -9: "killed", -15: "killed"}
    return named.get(outcome.code, str(outcome.code)) if isinstance(outcome.code, int) else outcome.code
