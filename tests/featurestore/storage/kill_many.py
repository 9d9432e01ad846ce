"""Kill jobs at random moments, start them again until they end, and compare with lakes that were left in peace.

    python -m tests.featurestore.storage.kill_many --kills 60 [--verb merge]… [--real-s3] [--seed 0]

Prints for each job the numbers of kills, of lakes that were other in the end, and of problems seen after a kill; exits 1 unless
the last two are 0.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.featurestore.storage.killing import kill_many
from tests.featurestore.storage.writer_job import Job
from tests.featurestore.transfer.verb_jobs import jobs
from tests.s3.server import environment, new_lake

if TYPE_CHECKING:
    from tests.featurestore.storage.killing import Killable, Tally


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill jobs at random moments.")
    parser.add_argument("--kills", type=int, default=60, help="of each verb")
    parser.add_argument(
        "--verb", action="append", choices=("write", "remove", "rename", "copy", "merge"), help="only these"
    )
    parser.add_argument("--real-s3", action="store_true", help="on the tests' server, at $FEATURESTORE_TEST_S3")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        verbs: dict[str, list[Killable]] = {"write": [Job()], **jobs(Path(folder))}
        for verb in options.verb or verbs:
            for number, job in enumerate(verbs[verb]):
                location = f"{folder}/{verb}-{number}"
                if options.real_s3:
                    os.environ.update(environment(os.environ["FEATURESTORE_TEST_S3"]))
                    location = new_lake(os.environ["FEATURESTORE_TEST_S3"])
                start = time.perf_counter()
                tally = kill_many(location, job, options.kills // len(verbs[verb]), options.seed)
                sys.stdout.write(f"{verb} {job}: {_said(tally, time.perf_counter() - start)}")
                sys.stdout.flush()
                failed |= bool(tally.differences or tally.problems)
    return int(failed)


def _said(tally: Tally, seconds: float) -> str:
    problems = "".join(f"  {problem}\n" for problem in tally.problems)
    return (
        f"{tally.kills} kills in {tally.lakes} lakes at {len(tally.moments)} different states, {seconds:.0f} s: "
        f"{tally.differences} differences, {len(tally.problems)} problems\n{problems}"
    )


if __name__ == "__main__":
    sys.exit(main())
