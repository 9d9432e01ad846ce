"""Commands on a lake in a bucket: a real S3 server behind a proxy that lets each request wait, beside the same lake on disk.

python -m benchmarks.remote [--delays 0,10,30,100] [--models 16] [--wide 296] [--only scored,wide]

The server is that of `make test-s3`: $FEATURESTORE_TEST_S3 where it is set, else one is started for the run. Cold is with an empty
cache on this machine, cached the same command again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.delaying_proxy import delaying_proxy
from benchmarks.lakes.random_scores import Shape, make
from benchmarks.lakes.scored import make_scored_lake
from featurestore.storage import LocalStorage, ObjectStorage
from tests.s3.server import environment, new_lake

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.delaying_proxy import DelayingProxy

COMMANDS = (
    ("sql", "select count(*) from scores", "--format", "csv"),
    ("ask", "best_detector", "--format", "csv"),
    ("verify",),
    ("status", "--format", "csv"),
    ("score",),
)
WIDE_COMMANDS = (("ask", "accuracy_vs_unit_test_fpr", "--format", "csv"),)
WIDE = Shape(
    models=296,
    detectors=("max-logit", "mahalanobis", "relative-mahalanobis"),
    id_samples=500,
    ood={
        "ninco": (tuple(f"class-{number}" for number in range(64)), 8),
        "unit-tests": (tuple(f"class-{number}" for number in range(17)), 20),
    },
)
_UPLOADERS = 16


@dataclass(frozen=True)
class Run:
    """How long a command took, and how many requests reached the server."""

    seconds: float
    requests: int = 0

    def __str__(self) -> str:
        return f"{self.seconds:6.2f} ({self.requests:5,})"


def bench(local: Path, commands: Sequence[Sequence[str]], delays: Sequence[float], proxy: DelayingProxy) -> None:
    """Time commands on a lake, on disk and in a bucket, and print a line for each command and delay."""
    place = _uploaded(local, os.environ["FEATURESTORE_TEST_S3"])
    print(
        f"{'command':32}{'delay':>8}{'local s':>9}{'cold s (requests)':>19}{'cached s (requests)':>21}{'of local':>10}"
    )
    for command in commands:
        on_disk = min(_timed([*command, "--lake", str(local)], {}) for _ in range(2))
        for delay in delays:
            proxy.delay(delay)
            with tempfile.TemporaryDirectory() as cache:
                known = {**environment(proxy.url), "FEATURESTORE_CACHE": cache}
                cold, cached = (_run([*command, "--lake", place], known, proxy) for _ in range(2))
            ratio = f"{cached.seconds / on_disk:9.2f}x"
            print(
                f"{' '.join(command[:2])[:31]:32}{delay:5g} ms{on_disk:9.2f}{cold!s:>19}{cached!s:>21}{ratio}",
                flush=True,
            )


def _run(arguments: Sequence[str], variables: Mapping[str, str], proxy: DelayingProxy) -> Run:
    proxy.requests()
    return Run(_timed(arguments, variables), proxy.requests())


def _timed(arguments: Sequence[str], variables: Mapping[str, str]) -> float:
    command = [sys.executable, "-m", "featurestore", *arguments]
    start = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **variables})
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"featurestore {' '.join(arguments)} failed: {done.stderr or done.stdout}")
    return seconds


def _uploaded(local: Path, endpoint: str) -> str:
    """A copy of the lake in a bucket; returns its URL."""
    place = new_lake(endpoint)
    os.environ.update(environment(endpoint))
    source, target = LocalStorage(local), ObjectStorage(place)
    keys = list(source.names(""))
    with ThreadPoolExecutor(_UPLOADERS) as pool:
        list(pool.map(lambda key: target.put(key, source.get(key)), keys))
    size = sum(found.bytes for found in source.list(""))
    print(f"{len(keys):,} files, {size / 1e6:,.0f} MB:")
    return place


def main() -> None:
    """Start a server where there is none, make the lakes, and run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delays", default="0,10,30,100", help="milliseconds a request")
    parser.add_argument("--models", type=int, default=16)
    parser.add_argument("--wide", type=int, default=296)
    parser.add_argument("--only", default="scored,wide")
    options = parser.parse_args()
    if "FEATURESTORE_TEST_S3" not in os.environ:
        again = [sys.executable, "-m", "benchmarks.remote", *sys.argv[1:]]
        raise SystemExit(subprocess.run(["bash", "tests/s3/server.sh", "with", *again], check=False).returncode)
    delays = [float(delay) for delay in options.delays.split(",")]
    with (
        tempfile.TemporaryDirectory() as folder,
        delaying_proxy(os.environ["FEATURESTORE_TEST_S3"]) as proxy,
    ):
        if "scored" in options.only:
            make_scored_lake(Path(folder) / "scored", options.models)
            print(f"{options.models} models with all usual detectors, ", end="")
            bench(Path(folder) / "scored", COMMANDS, delays, proxy)
        if "wide" in options.only:
            shape = Shape(options.wide, WIDE.detectors, WIDE.id_samples, WIDE.id_classes, WIDE.ood)
            make(Path(folder) / "wide", shape)
            print(f"{options.wide} models with {len(shape.detectors)} detectors, ", end="")
            bench(Path(folder) / "wide", WIDE_COMMANDS, delays, proxy)


if __name__ == "__main__":
    main()
