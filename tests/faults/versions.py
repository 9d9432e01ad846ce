"""Trials of two versions of the package on one lake: what one begins the other goes on with, both at once, and what is made by the other.

In the end, scores are brought up to date by this version: then `verify --deep` has to find nothing, and answers are those of a lake that the
other version never saw. Whatever the other version does of a lake of both, it ends, or says in a sentence why not.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.faults.lakes import answers
from tests.faults.processes import ROOT
from tests.faults.trials import SIGNALS, Bench

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.faults.lakes import Templates
    from tests.faults.processes import Outcome, Server

COMMANDS = ("add", "extract", "score", "gc", "remove", "copy")
MADE, BEGUN, WENT_ON, BESIDE = FAULTS = (
    "on a lake of the other version",
    "begun by the other version",
    "gone on with by the other version",
    "beside the other version",
)
SCORE = ("score", "--detector", "msp", "--detector", "mahalanobis")
"""By detectors that both versions have, without variants."""
_PARTS = ("featurestore", "extract", "analysis", "sql")
_READING = (("status",), ("ask", "best_detector"), ("sql", "from metrics"), ("verify",))


def unpack(revision: str, folder: Path) -> Path:
    """Lay the package of a revision into a folder."""
    archive = subprocess.run(["git", "archive", revision, *_PARTS], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder


class VersionBench(Bench):
    """A place for trials of one command by two versions.

    Args:
        folder: For their lakes.
        name: The command.
        templates: The lakes in which commands begin, made by this version.
        server: What starts commands of this version.
        other: What starts those of the other one.
        others: The lakes of the other one.
    """

    def __init__(
        self, folder: Path, name: str, templates: Templates, server: Server, other: Server, others: Templates
    ) -> None:
        super().__init__(folder, name, templates, server)
        self._other, self._others = other, others
        if name == "score":
            self.command = replace(self.command, arguments=SCORE)

    def state(self, place: Path) -> Any:
        """The answers, once scores are up to date; which parts there are, and of which files, is each version's own."""
        if self.name not in {"add", "extract"}:
            self._server.end(self._begin(place, arguments=SCORE))
        return answers(self._places(place)["lake"]), None, None, None

    def _befallen(self, place: Path, fault: str, random: Random) -> Outcome | None:
        """Run the command by one version, or both."""
        wait = random.uniform(0, self.peace.seconds)
        if fault == MADE:
            shutil.rmtree(place / "lake")
            self._others.place(self.command.begins_as, place / "lake")
            return self._server.end(self._begin(place))
        if fault == BESIDE:
            jobs = [(self._server, self._begin(place)), (self._other, self._begin(place, server=self._other))]
            return _together([server.end(job) for server, job in jobs])
        first = self._other if fault == BEGUN else self._server
        job = self._begin(place, server=first)
        time.sleep(wait)
        job.signal(SIGNALS["kill -9"])
        killed = first.end(job)
        return killed if fault == BEGUN else self._other.end(self._begin(place, server=self._other))

    def _afterwards(self, place: Path) -> list[str]:
        """What is wrong for this version; and whatever the other one reads, it ends or says why not."""
        found = super()._afterwards(place)
        for command in _READING:
            outcome = self._other.end(self._begin(place, arguments=command, server=self._other))
            if outcome.code == "hangs" or "Traceback" in outcome.err:
                found.append(f"{command} by the other version: {outcome.code} {outcome.err[-800:]}")
        return found


def _together(outcomes: list[Outcome]) -> Outcome:
    """What became of jobs at once: the end of one that failed, if one did, and what any left."""
    outcomes.sort(key=lambda outcome: outcome.code != 0)
    left = tuple(left for outcome in outcomes for left in outcome.left)
    return replace(outcomes[-1], err="".join(outcome.err for outcome in outcomes), left=left)
