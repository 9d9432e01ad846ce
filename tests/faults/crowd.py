"""Sixteen jobs of mixed kinds on one lake at once, `gc` among them; then all of them in order, held against a lake that saw them in order alone."""

from __future__ import annotations

import shutil
import time
import uuid
from random import Random
from typing import TYPE_CHECKING, Any

from tests.faults.lakes import SCORE, answers, rows
from tests.faults.trials import Result

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.lakes import Templates
    from tests.faults.processes import Outcome, Server

WRITERS = (
    ("dataset", "add", "near", "{sources}/near", "--role", "ood"),
    ("extract", "--pool", "{sources}/others/pool.csv"),
    ("model", "set", "b", "weight_decay=0.5"),
    ("merge", "{other}"),
    SCORE,
    ("score", "--detector", "energy"),
    ("model", "remove", "a"),
    ("gc", "--older-than", "0s"),
)
READERS = (
    ("extract", "--pool", "{sources}/others/pool.csv", "--dataset", "test"),
    ("gc", "--older-than", "1h"),
    ("copy", "{lake}", "{target}"),
    ("catalog", "{folder}/made.duckdb"),
    ("report", "{folder}/made.html"),
    ("ask", "best_detector"),
    ("sql", "from metrics order by all"),
    ("status",),
)
"""Jobs that leave nothing that those of the writers do not leave."""


class Crowd:
    """A place for crowds.

    Args:
        folder: Where their lakes are made and deleted.
        templates: The lakes in which jobs begin.
        server: What starts them.
    """

    def __init__(self, folder: Path, templates: Templates, server: Server) -> None:
        self._folder, self._templates, self._server = folder, templates, server
        self._state: Any = None

    def trial(self, seed: str) -> Result:
        """Start all jobs within a moment, in an order that the seed chooses, wait for them, and run the writers in order."""
        if self._state is None:
            place = self._prepared()
            self._state, problems = self._in_order(place)
            shutil.rmtree(place)
            if problems:
                raise RuntimeError(f"jobs in peace: {problems}")
        random, jobs = Random(seed), [*WRITERS, *READERS]
        random.shuffle(jobs)
        place = self._prepared()
        running = []
        for job in jobs:
            running.append(self._server.begin(self._typed(job, place), place, environment=self._environment(place)))
            time.sleep(random.uniform(0, 0.05))
        outcomes = [self._server.end(one) for one in running]
        problems = [said for job, outcome in zip(jobs, outcomes, strict=True) for said in _unseemly(job, outcome)]
        state, later = self._in_order(place)
        if state != self._state:
            later.append("other parts or answers than in order")
        shutil.rmtree(place)
        refused = sum(outcome.code == 1 for outcome in outcomes)
        return Result(f"times {len(jobs) - refused} ended and {refused} said why not", (*problems, *later))

    def _prepared(self) -> Path:
        place = self._folder / f"crowd-{uuid.uuid4().hex[:8]}"
        place.mkdir(parents=True)
        self._templates.place("scored", place / "lake")
        self._templates.made("other")
        return place

    def _typed(self, job: tuple[str, ...], place: Path) -> tuple[str, ...]:
        places = {"folder": place, "lake": place / "lake", "target": place / "target"}
        fixed = {"sources": self._templates.sources, "other": self._templates.made("other")}
        return tuple(argument.format(**places, **fixed) for argument in job)

    def _environment(self, place: Path) -> dict[str, str]:
        return {"FEATURESTORE_LAKE": str(place / "lake")}

    def _in_order(self, place: Path) -> tuple[Any, list[str]]:
        """What the lake holds after the writers ran one after the other, and what went wrong."""
        problems = []
        for job in (*WRITERS, ("verify", "--deep")):
            outcome = self._server.run(self._typed(job, place), place, environment=self._environment(place))
            if outcome.code and "There is no model 'a'" not in outcome.err:
                problems.append(f"{' '.join(job)} in order: {outcome.code} {outcome.out[-500:]}{outcome.err[-500:]}")
        return (rows(place / "lake"), answers(place / "lake")), problems


def _unseemly(job: tuple[str, ...], outcome: Outcome) -> list[str]:
    said = outcome.err.splitlines()[-1:]
    if outcome.code in {0, 3} or (
        outcome.code == 1 and said and said[0].startswith("Error: ") and "Traceback" not in outcome.err
    ):
        return [f"{' '.join(job)} left {left}" for left in outcome.left]
    return [f"{' '.join(job)}: {outcome.code} {outcome.err[-1500:]}"]
