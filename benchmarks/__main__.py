"""All benchmarks one after the other, and then their page.

python -m benchmarks [--again] [--only lake,judge,…]

What has been recorded of the code as it is, is passed over: so a run that was stopped goes on where it was. A benchmark that fails is told
at the end, and the others run nevertheless.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys

import torch

from benchmarks import page
from benchmarks.history import read
from benchmarks.record import command
from benchmarks.surroundings import commit

LAKES = ".venv/lakes"
"""Where a lake stays that several benchmarks ask, until all have run."""
GIVEN = {
    "detectors": ["--rows", "320000", "--judged", "0.3"],
    "peers": ["--rows", "20000", "--queries", "2000"],
    "query": ["--lake", LAKES],
    "report": ["--lake", LAKES],
}
"""Options of those that would take too long at their full size."""
ON_GPU = {"extract_device"}
BY_HAND = {"coverage", "scale"}
"""What takes a core for a quarter of an hour or more: one measures no time, and one makes a lake of half a million files."""


def main() -> int:
    """Run what has no line in the history; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--again", action="store_true", help="run what has been recorded of this code, too")
    parser.add_argument("--only", help="names of benchmarks, separated by commas")
    options = parser.parse_args()
    passed = BY_HAND | (set() if torch.cuda.is_available() else ON_GPU)
    names = options.only.split(",") if options.only else [name for name in page.HEADINGS if name not in passed]
    failed = [name for name in names if not _done(name, again=options.again) and _run(name)]
    shutil.rmtree(LAKES, ignore_errors=True)
    page.main()
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def _done(name: str, *, again: bool) -> bool:
    """Whether the same command has been recorded of the same code."""
    wanted = commit(), command(name, GIVEN.get(name, []))
    is_done = not again and not wanted[0].endswith("+") and any((run.commit, run.command) == wanted for run in read())
    if is_done:
        print(f"{wanted[1]}: recorded at {wanted[0]} already")
    return is_done


def _run(name: str) -> int:
    arguments = GIVEN.get(name, [])
    print(f"\n{command(name, arguments)}", flush=True)
    return subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments, "--record"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
