"""Commands on a lake in a bucket: a real S3 server behind a proxy that lets each request wait, beside the same lake on disk.

python -m benchmarks.remote [--delays 0,10,30,100] [--models 16] [--wide 296] [--only scored,wide,httpfs] [--httpfs FOLDER]

The server is that of `make test-s3`: $FEATURESTORE_TEST_S3 where it is set, else one is started for the run. It, the proxy and the
commands share the cores. Cold is with an empty cache on this machine, cached the same command again.

DuckDB's own reader of buckets, httpfs, comes as a package for DuckDB 1.5.5 and no later one. It asks twice for each file, once for its size, and
keeps nothing for the next process. Within one, told to remember what it learned of files, it asks no second time, where ours lists the table anew, and so
sees what others commit. The list of files is given to it for nothing; ours, which runs on the DuckDB that is installed, finds it in the lake.
To compare, have it in a folder:
`pip install --no-deps --target FOLDER duckdb==1.5.5 duckdb-extension-httpfs==1.5.5`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.delaying_proxy import delaying_proxy
from benchmarks.lakes.random_scores import Shape, make
from benchmarks.lakes.scored import make_scored_lake
from benchmarks.page import markdown
from benchmarks.record import Record, arguments
from featurestore import Lake
from featurestore.storage import LocalStorage, ObjectStorage
from tests.s3.server import KEY, SECRET, environment, new_lake

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.delaying_proxy import DelayingProxy
    from benchmarks.record import Table

_COUNT = "select count(*) from scores"
_UPLOADERS = 16
_LIMITED = 30.0
"""Milliseconds a request at which limits are to be kept."""
_ROUNDS = 2
"""How often a command runs that is not cold."""
HTTPFS = Path(__file__).parents[1] / ".venv" / "httpfs"


@dataclass(frozen=True)
class Command:
    """A command, and within how many seconds it is to answer in a bucket at 30 ms, with an empty cache and with a full one."""

    words: tuple[str, ...]
    cold: float | None = None
    cached: float | None = None
    of_local: float | None = None

    @property
    def title(self) -> str:
        """As in a table."""
        return " ".join(word for word in self.words if word not in {"--format", "csv"})


COMMANDS = (
    Command(("sql", _COUNT, "--format", "csv"), cold=4, of_local=1.3),
    Command(("ask", "best_detector", "--format", "csv"), cold=3, of_local=1.3),
    Command(("verify",), cold=5),
    Command(("status", "--format", "csv")),
    Command(("score",), cold=4),
)
WIDE_COMMANDS = (Command(("ask", "accuracy_vs_unit_test_fpr", "--format", "csv"), cold=6, cached=1.5),)
WIDE = Shape(
    models=296,
    detectors=("max-logit", "mahalanobis", "relative-mahalanobis"),
    id_samples=500,
    ood={
        "ninco": (tuple(f"class-{number}" for number in range(64)), 8),
        "unit-tests": (tuple(f"class-{number}" for number in range(17)), 20),
    },
)


@dataclass(frozen=True)
class Bucket:
    """A lake on disk, and its copy in a bucket behind a proxy."""

    local: Path
    place: str
    proxy: DelayingProxy
    files: str

    @classmethod
    def of(cls, local: Path, proxy: DelayingProxy) -> Bucket:
        """Upload a lake."""
        endpoint = os.environ["FEATURESTORE_TEST_S3"]
        place = new_lake(endpoint)
        os.environ.update(environment(endpoint))
        source, target = LocalStorage(local), ObjectStorage(place)
        found = list(source.list(""))
        with ThreadPoolExecutor(_UPLOADERS) as pool:
            list(pool.map(lambda one: target.put(one.key, source.get(one.key)), found))
        return cls(local, place, proxy, f"{len(found):,} files, {sum(one.bytes for one in found) / 1e6:,.0f} MB")

    def bench(self, table: Table, commands: Sequence[Command], delays: Sequence[float]) -> None:
        """Time commands on disk and in the bucket: a row for each command and delay."""
        for command in commands:
            on_disk = [self._timed(command, str(self.local), {})[0] for _ in range(_ROUNDS)]
            for delay in delays:
                self.proxy.delay(delay)
                row = f"`{command.title}`, {delay:g} ms"
                limits = command if delay == _LIMITED else Command(command.words)
                table.add(row, on_disk, column="on disk")
                with tempfile.TemporaryDirectory() as cache:
                    known = {**environment(self.proxy.url), "FEATURESTORE_CACHE": cache}
                    runs = [self._timed(command, self.place, known) for _ in range(1 + _ROUNDS)]
                (cold, sent), *cached = runs
                table.add(row, [cold], column="cold", **_most(limits.cold))
                table.add(row, [sent], column="requests", unit="")
                table.add(row, [seconds for seconds, _ in cached], column="cached", **_most(limits.cached))
                table.add(row, [count for _, count in cached], column="requests when cached", unit="")
                ratio = min(seconds for seconds, _ in cached) / min(on_disk)
                table.add(row, [ratio], column="cached, of on disk", unit="x", **_most(limits.of_local))

    def _timed(self, command: Command, place: str, variables: Mapping[str, str]) -> tuple[float, int]:
        """Seconds, and requests that reached the server."""
        self.proxy.requests()
        words = [sys.executable, "-m", "featurestore", *command.words, "--lake", place]
        start = time.perf_counter()
        done = subprocess.run(words, check=False, capture_output=True, text=True, env={**os.environ, **variables})
        seconds = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(f"featurestore {command.title} failed: {done.stderr or done.stdout}")
        return seconds, self.proxy.requests()

    def bench_httpfs(self, table: Table, folder: Path, delay: float) -> None:
        """Time the count of all scores by DuckDB's httpfs, and by ours, in processes that each count twice."""
        self.proxy.delay(delay)
        lake = Lake(self.local)
        keys = [key for one in lake.partitions("scores") for part in one.parts for key, _ in one.files(part)]
        urls = [f"{self.place}/{key}" for key in keys]
        with tempfile.TemporaryDirectory() as cache:
            known = {**environment(self.proxy.url), "FEATURESTORE_CACHE": cache}
            sides = {"httpfs": (_HTTPFS, {"PYTHONPATH": str(folder)}), "ours": (_OURS, known)}
            for side, (script, variables) in sides.items():
                for when in ("first process", "next process"):
                    given = {"urls": urls, "place": self.place, "folder": str(folder), "endpoint": self.proxy.url}
                    given |= {"key": KEY, "secret": SECRET}
                    self.proxy.requests()
                    done = subprocess.run(
                        [sys.executable, "-c", script],
                        input=json.dumps(given),
                        check=True,
                        capture_output=True,
                        text=True,
                        env={**os.environ, **variables},
                    )
                    first, again, of_core, rows = json.loads(done.stdout)
                    row = f"{side}, {when}, {rows:,} rows of {len(urls):,} files, {delay:g} ms"
                    table.add(row, [first], column="first count")
                    table.add(row, [again], column="the same again")
                    table.add(row, [of_core], column="of a core")
                    table.add(row, [self.proxy.requests()], column="requests", unit="")


_HTTPFS = """
import glob, json, sys, time
given = json.load(sys.stdin)
start = time.perf_counter()
import duckdb
(extension,) = glob.glob(given["folder"] + "/duckdb_extension_httpfs/extensions/*/httpfs.duckdb_extension")
connection = duckdb.connect(config={"allow_unsigned_extensions": True})
connection.execute(f"load '{extension}'")
connection.execute("set parquet_metadata_cache = true; set enable_http_metadata_cache = true; set threads = 64; set enable_progress_bar = false")
host, key, secret = given["endpoint"].partition("//")[2], given["key"], given["secret"]
connection.execute(f"create secret (type s3, key_id '{key}', secret '{secret}', endpoint '{host}', use_ssl false, url_style 'path', region 'us-east-1')")
def count():
    return connection.execute("select count(*) from read_parquet($1, hive_partitioning = true)", [given["urls"]]).fetchall()[0][0]
rows = count()
first = time.perf_counter()
count()
print(json.dumps([first - start, time.perf_counter() - first, time.process_time(), rows]))
"""
_OURS = """
import json, sys, time
given = json.load(sys.stdin)
start = time.perf_counter()
from featurestore import Lake
lake = Lake(given["place"])
def count():
    return lake.sql("select count(*) from scores").fetchall()[0][0]
rows = count()
first = time.perf_counter()
count()
print(json.dumps([first - start, time.perf_counter() - first, time.process_time(), rows]))
"""


def _most(limit: float | None) -> dict[str, Any]:
    return {} if limit is None else {"most": limit}


def main() -> None:
    """Start a server where there is none, make the lakes, and run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delays", default="0,10,30,100", help="milliseconds a request")
    parser.add_argument("--models", type=int, default=16)
    parser.add_argument("--wide", type=int, default=296)
    parser.add_argument("--only", default="scored,wide,httpfs")
    parser.add_argument("--httpfs", type=Path, default=HTTPFS, help="folder with duckdb 1.5.5 and its extension")
    options = arguments(parser, models=2, wide=4, delays="0,30")
    if "FEATURESTORE_TEST_S3" not in os.environ:
        again = [sys.executable, "-m", "benchmarks.remote", *sys.argv[1:]]
        raise SystemExit(subprocess.run(["bash", "tests/s3/server.sh", "with", *again], check=False).returncode)
    delays = [float(delay) for delay in options.delays.split(",")]
    record = Record("remote", options)
    with (
        tempfile.TemporaryDirectory() as folder,
        delaying_proxy(os.environ["FEATURESTORE_TEST_S3"]) as proxy,
    ):
        if {"scored", "httpfs"} & {*options.only.split(",")}:
            make_scored_lake(Path(folder) / "scored", options.models)
            bucket = Bucket.of(Path(folder) / "scored", proxy)
            title = f"{options.models} models with all usual detectors, {bucket.files}"
        if "scored" in options.only:
            with record.table(title) as table:
                bucket.bench(table, COMMANDS, delays)
        if "httpfs" in options.only:
            with record.table(f"Counting scores, beside DuckDB's httpfs; {title}") as table:
                if (options.httpfs / "duckdb_extension_httpfs").is_dir():
                    bucket.bench_httpfs(table, options.httpfs, min(delays, key=lambda delay: abs(delay - _LIMITED)))
                else:
                    table.absent("httpfs", f"not installed in {options.httpfs.name}", column="first count")
        if "wide" in options.only:
            shape = replace(WIDE, models=options.wide)
            make(Path(folder) / "wide", shape)
            bucket = Bucket.of(Path(folder) / "wide", proxy)
            with record.table(f"{options.wide} models with {len(shape.detectors)} detectors, {bucket.files}") as table:
                bucket.bench(table, WIDE_COMMANDS, delays)
    record.close()
    print("\n".join(part for table in record.tables for part in ("", f"**{table.title}**", "", markdown(table.grid()))))


if __name__ == "__main__":
    main()
