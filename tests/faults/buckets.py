"""Trials on a lake in a bucket, behind a proxy that lets requests fail."""

from __future__ import annotations

import os
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import duckdb

from featurestore.storage import open_storage
from tests.faults.lakes import rows
from tests.faults.trials import Bench
from tests.s3.server import environment, new_lake

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.faults.lakes import Templates
    from tests.faults.processes import Outcome, Server
    from tests.faults.proxy import FaultyProxy

COMMANDS = ("extract", "score", "remove", "rename", "merge", "copy", "gc", "catalog", "report")
SHARES = {
    "500": 0.1,
    "503": 0.3,
    "timeout": 0.01,
    "torn upload": 0.3,
    "torn answer": 0.1,
    "lost answer": 0.1,
    "stopped": 0.02,
}
"""Of the requests, how many fail."""
_MOST = {"timeout": 2, "stopped": 1}


class BucketBench(Bench):
    """A place for trials of one command, on the tests' S3 server.

    What it does in peace is what it does on disk; but a catalog names files in the bucket, and garbage is collected as soon as it is there, since
    nothing in a bucket can be made to look old.

    Args:
        folder: For what lies on this machine.
        name: The command.
        templates: The lakes in which commands begin.
        server: What starts them.
        proxy: Before the S3 server.
        endpoint: That server itself, by which lakes are laid there and looked at.
    """

    def __init__(
        self, folder: Path, name: str, templates: Templates, server: Server, proxy: FaultyProxy, endpoint: str
    ) -> None:
        super().__init__(folder, name, templates, server)
        self._on_disk = Bench(folder, name, templates, server)
        self._proxy, self._endpoint, self._faulty = proxy, endpoint, False
        os.environ.update(environment(endpoint))
        if name == "gc":
            self.command = replace(self.command, arguments=("gc", "--older-than", "0s"))
        if name != "catalog":
            self.peace = self._on_disk.peace

    def state(self, place: Path) -> Any:
        """All that counts; of a catalog, what its views read."""
        found = super().state(place)
        if self.name != "catalog":
            return found
        with duckdb.connect(str(place / "made.duckdb"), read_only=True) as connection:
            views = connection.execute("select view_name, sql from duckdb_views() where not internal").fetchall()
        lake = self._places(place)["lake"]
        return *found[:2], {name: sql.replace(lake, "") for name, sql in views}, found[3]

    def _rows_of(self, catalog: str) -> dict[str, int]:  # noqa: ARG002  what a catalog on disk is asked for
        """Nothing: DuckDB itself does not read buckets."""
        return {}

    def _same_rows(self, place: Path) -> bool:
        return rows(self._places(place)["lake"]) == rows(self._on_disk.peace.place / "lake")

    def _prepared(self) -> Path:
        place = self._folder / f"s3-{self.name}-{uuid.uuid4().hex[:8]}"
        place.mkdir(parents=True)
        (place / "url").write_text(new_lake(self._endpoint))
        lake, bucket = self._templates.made(self.command.begins_as), open_storage(self._places(place)["lake"])
        files = [path for path in lake.rglob("*") if path.is_file() and not path.name.startswith(".staged")]
        for path in sorted(files, key=lambda path: (path.suffix != ".parquet", path)):
            bucket.put(path.relative_to(lake).as_posix(), path.read_bytes())
        return place

    def _places(self, place: Path) -> dict[str, str]:
        url = (place / "url").read_text()
        return {**super()._places(place), "lake": f"{url}/lake", "target": f"{url}/target"}

    def _variables(self) -> dict[str, str]:
        return environment(self._proxy.url if self._faulty else self._endpoint)

    def _befallen(self, place: Path, fault: str, random: Random) -> Outcome | None:
        self._proxy.inject(fault, SHARES[fault], random.randrange(1 << 30), _MOST.get(fault, 1_000_000))
        self._faulty = True
        outcome = self._server.end(self._begin(place))
        self._faulty = False
        met = self._proxy.injected()
        self._proxy.inject("none")
        return outcome if met else None
