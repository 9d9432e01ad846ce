"""Faults of all kinds for all commands, each held against the same command in peace; then a table of them.

    python -m tests.faults [--each 3] [--only extract,score,…] [--fault "kill -9"]… [--seed 0] [--other REVISION] [--results .venv/faults.jsonl]

What has been tried is passed over, but for what went wrong: so a run that was stopped goes on where it was. With $FEATURESTORE_TEST_S3 (`bash
tests/s3/server.sh with …`), an S3 server that fails is tried too; with --other, so is the package of another revision on the same lakes. Exits 1
unless all held.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.page import markdown
from tests.faults import buckets, versions
from tests.faults.buckets import BucketBench
from tests.faults.crowd import Crowd
from tests.faults.lakes import COMMANDS, Templates
from tests.faults.processes import Server
from tests.faults.proxy import faulty_proxy
from tests.faults.trials import FAULTS, Bench
from tests.faults.versions import VersionBench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.trials import Result

CROWD = "16 jobs at once"
ENDED_BEFORE = "ended before"
"""Nothing befell the command, of which there is nothing to count."""
OF_WORKERS = ("kill -9", "SIGTERM", "Ctrl-C", "worker killed")


class Try(NamedTuple):
    """One trial: the command, what befalls it, and which one of several."""

    command: str
    fault: str
    seed: str


def main() -> int:
    """Try what has not been tried; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=3, help="trials of each fault with each command")
    parser.add_argument("--only", help="names of commands, separated by commas")
    parser.add_argument("--fault", action="append", help="only these faults")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--other", metavar="REVISION", help="try two versions of the package on one lake, this and that of a revision"
    )
    parser.add_argument("--results", type=Path, default=Path(".venv/faults.jsonl"))
    parser.add_argument("--table", action="store_true", help="print the table of what has been tried, and try nothing")
    options = parser.parse_args()
    commands = options.only.split(",") if options.only else [*COMMANDS, CROWD]
    done = _read(options.results)
    if not options.table:
        wanted = [
            one
            for one in _tries(options.each, options.seed, options.other)
            if one.command in commands
            and (not options.fault or one.fault in options.fault)
            and done.get(one, ("", [""]))[1]
        ]
        _try_all(wanted, options.results, options.other)
        done = _read(options.results)
    sys.stdout.write(table(done))
    return int(any(problems for _, problems in done.values()))


def _tries(each: int, seed: int, other: str | None) -> Iterator[Try]:
    """All of them, each fault with each command before any a second time."""
    for number in range(seed, seed + each):
        for command in COMMANDS:
            for fault in OF_WORKERS if command == "workers" else FAULTS[:-1]:
                yield Try(command, fault, str(number))
        yield from (Try(CROWD, "each other", f"{number}.{again}") for again in range(2))
        if os.environ.get("FEATURESTORE_TEST_S3"):
            yield from (
                Try(command, f"S3: {kind}", str(number)) for kind in buckets.SHARES for command in buckets.COMMANDS
            )
        if other:
            yield from (Try(command, fault, str(number)) for fault in versions.FAULTS for command in versions.COMMANDS)


def _try_all(wanted: list[Try], results: Path, other: str | None) -> None:
    results.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(Server(folder / "server"))
        trial = _trier(folder, server, stack, other)
        for number, one in enumerate(wanted, 1):
            found = trial(one)
            with results.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps([*one, found.happened, list(found.problems)])}\n")
            said = "".join(f"\n  {problem}" for problem in found.problems)
            sys.stdout.write(f"{number}/{len(wanted)} {one.command}, {one.fault}, {one.seed}: {found.happened}{said}\n")
            sys.stdout.flush()


def _trier(folder: Path, server: Server, stack: ExitStack, revision: str | None) -> Callable[[Try], Result]:
    templates = Templates(folder / "templates", server)
    crowd = Crowd(folder / "trials", templates, server)
    benches: dict[tuple[str, str], Bench] = {}
    endpoint = os.environ.get("FEATURESTORE_TEST_S3", "")
    proxy = stack.enter_context(faulty_proxy(endpoint)) if endpoint else None
    makers: dict[str, Callable[..., Bench]] = {"": Bench}
    if proxy:
        makers["S3"] = lambda *on: BucketBench(*on, proxy, endpoint)
    if revision:
        package = versions.unpack(revision, folder / "other")
        other = stack.enter_context(Server(folder / "other-server", package=package))
        own, others = (
            Templates(folder / name, one, versions.SCORE) for name, one in (("own", server), ("others", other))
        )
        makers["versions"] = lambda place, name, _, on: VersionBench(place, name, own, on, other, others)

    def trial(one: Try) -> Result:
        if one.command == CROWD:
            return crowd.trial(one.seed)
        kind = "S3" if one.fault.startswith("S3: ") else "versions" if one.fault in versions.FAULTS else ""
        if (one.command, kind) not in benches:
            benches[one.command, kind] = makers[kind](folder / "trials", one.command, templates, server)
        return benches[one.command, kind].trial(one.fault.removeprefix("S3: "), one.seed)

    return trial


def _read(results: Path) -> dict[Try, tuple[str, list[str]]]:
    """What came of each trial when it was made last."""
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    return {Try(*line[:3]): (line[3], line[4]) for line in map(json.loads, lines)}


def table(done: dict[Try, tuple[str, list[str]]]) -> str:
    """Fault by command: how many trials there were, and how many of them left anything that should not be."""
    done = {one: found for one, found in done.items() if found[0] != ENDED_BEFORE}
    columns = [command for command in (*COMMANDS, CROWD) if any(one.command == command for one in done)]
    faults = list(dict.fromkeys(one.fault for one in done))
    rows = [["fault", *columns, "what became of the command", "problems"]]
    for fault in faults:
        here = {one: found for one, found in done.items() if one.fault == fault}
        counts = Counter(one.command for one in here)
        became = Counter(happened for happened, _ in here.values())
        said = ", ".join(f"{count} {what}" for what, count in became.most_common())
        wrong = sum(bool(problems) for _, problems in here.values())
        rows.append([fault, *(str(counts[name]) if counts[name] else "" for name in columns), said, str(wrong)])
    wrong = sum(bool(problems) for _, problems in done.values())
    return "\n".join([markdown(rows), "", f"{len(done)} faults tried; {wrong} of them left anything wrong.", ""])


if __name__ == "__main__":
    sys.exit(main())
