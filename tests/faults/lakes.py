"""The lakes in which commands begin, made once by the commands themselves, and the commands, each with what must be the same in the end."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from featurestore import Lake
from featurestore.layout.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from featurestore.layout.manifest import Manifest
    from tests.faults.processes import Server

DETECTORS = ("msp", "mahalanobis", "knn:k=5")
SCORE = ("score", *(text for name in DETECTORS for text in ("--detector", name)))
FROZEN = Path(__file__).parents[1] / "compat" / "lake_v1"
_OLD = 2 * 86400.0


@dataclass(frozen=True)
class Command:
    """A command on a lake.

    Attributes:
        begins_as: Which lake it begins in.
        arguments: What is typed; `{folder}` stands for the folder of the trial, `{lake}`, `{other}` and `{target}` for lakes, `{sources}` for
            the place of images and models, which never change.
        made: What counts in the end beside the lake: another lake, or a file.
        done: What it may say when it is run again after it had ended.
        again: How often it is run in all until it has nothing more to do.
    """

    begins_as: str
    arguments: tuple[str, ...]
    made: str = ""
    done: str = ""
    again: int = 1


COMMANDS = {
    "add": Command("images", ("dataset", "add", "near", "{sources}/near", "--role", "ood")),
    "extract": Command("images", ("extract", "--pool", "{sources}/models/pool.csv", "--batch-size", "4")),
    "workers": Command(
        "images", ("extract", "--pool", "{sources}/models/pool.csv", "--batch-size", "4", "--workers", "2")
    ),
    "score": Command("extracted", SCORE),
    "gc": Command("garbage", ("gc", "--older-than", "1h"), again=2),
    "remove": Command("scored", ("model", "remove", "a"), done="There is no model 'a'"),
    "rename": Command("scored", ("dataset", "rename", "far", "off"), done="There is no dataset 'far'"),
    "merge": Command("scored", ("merge", "{other}")),
    "copy": Command("scored", ("copy", "{lake}", "{target}"), made="{target}"),
    "catalog": Command("scored", ("catalog", "{folder}/made.duckdb"), made="{folder}/made.duckdb"),
    "report": Command("scored", ("report", "{folder}/made.html"), made="{folder}/made.html"),
}


SHORT = {
    "remove": Command("frozen", ("model", "remove", "clip-b32"), done="There is no model 'clip-b32'"),
    "rename": Command("frozen", ("dataset", "rename", "far", "off"), done="There is no dataset 'far'"),
    "copy": Command("frozen", ("copy", "{lake}", "{target}"), made="{target}"),
    "catalog": Command("frozen", ("catalog", "{folder}/made.duckdb"), made="{folder}/made.duckdb"),
}
"""Commands without images or networks, on a lake that need not be made."""


class Templates:
    """The lakes that commands begin in, each made when it is asked for and never changed; and what they are made of.

    Args:
        folder: Where they lie.
        server: What runs the commands that make them.
        score: How scores are made.
    """

    def __init__(self, folder: Path, server: Server, score: tuple[str, ...] = SCORE) -> None:
        self.folder, self._server, self._score = folder, server, score
        self._makers: dict[str, Callable[[Path], None]] = {
            "images": self._images, "extracted": self._extracted, "scored": self._scored, "garbage": self._garbage, "other": self._other,
            "frozen": lambda lake: shutil.copytree(FROZEN, lake),
        }  # fmt: skip

    def place(self, name: str, folder: Path) -> None:
        """Lay a lake into a folder."""
        shutil.copytree(self.made(name), folder)

    @property
    def sources(self) -> Path:
        """Where images and models lie."""
        return self.folder / "sources"

    def made(self, name: str) -> Path:
        """The folder of a lake that nobody may change."""
        lake = self.folder / name / "lake"
        if not (self.folder / name / "done").exists():
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir(parents=True)
            self._makers[name](lake)
            (self.folder / name / "done").touch()
        return lake

    def _run(self, lake: Path, *arguments: str) -> None:
        outcome = self._server.run(arguments, lake.parent, environment={"FEATURESTORE_LAKE": str(lake)})
        if outcome.code:
            raise RuntimeError(f"{arguments} ended with {outcome.code}: {outcome.err}")

    def _images(self, lake: Path) -> None:
        from tests.pipeline import write_pool  # slow to import, as networks are
        from tests.tiny import write_images

        for number, (name, role, count) in enumerate((("train", "fit", 8), ("test", "id", 5), ("far", "ood", 6))):
            write_images(self.sources / name, dict.fromkeys(("ant", "bee", "cat"), count), number)
            self._run(lake, "dataset", "add", name, str(self.sources / name), "--role", role)
        write_images(self.sources / "near", {"dog": 9, "elk": 8}, 7)
        write_pool(self.sources / "models", {"a": 1, "b": 2})

    def _extracted(self, lake: Path) -> None:
        shutil.copytree(self.made("images"), lake)
        self._run(lake, "extract", "--pool", str(self.sources / "models" / "pool.csv"))

    def _scored(self, lake: Path) -> None:
        shutil.copytree(self.made("extracted"), lake)
        self._run(lake, *self._score)

    def _garbage(self, lake: Path) -> None:
        """A removed model, superseded manifests, what killed jobs left; all of it old."""
        shutil.copytree(self.made("scored"), lake)
        self._run(lake, "model", "remove", "a")
        (lake / "scores" / ".staged-0123").write_bytes(b"half")
        for path in lake.rglob("*"):
            os.utime(path, (time.time() - _OLD,) * 2)

    def _other(self, lake: Path) -> None:
        """A model and a dataset that the first lake lacks."""
        from tests.pipeline import write_pool

        shutil.copytree(self.made("images"), lake)
        self._run(lake, "dataset", "add", "near", str(self.sources / "near"), "--role", "ood")
        pool = write_pool(self.sources / "others", {"c": 3})
        self._run(lake, "extract", "--pool", str(pool))


def parts(lake: Path | str) -> dict[str, list[tuple[str, str, int, tuple[str, ...]]]]:
    """Of each partition its parts: key, fingerprint, rows, and the checksums of its fragments."""
    return {
        manifest.folder: sorted(
            (
                str(sorted(part.key.items())),
                part.fingerprint,
                part.rows,
                tuple(fragment.sha256 for fragment in part.fragments),
            )
            for part in manifest.parts
        )
        for manifest in _manifests(Lake(lake))
    }


def rows(lake: Path | str) -> dict[str, list[tuple[str, str, str]]]:
    """The same of lakes whose fragments may be of other bytes: a digest of the rows themselves."""
    opened, found = Lake(lake), {}
    for manifest in _manifests(opened):
        found[manifest.folder] = sorted(
            (
                str(sorted(part.key.items())),
                part.fingerprint,
                _digest(opened.read(manifest.table, **manifest.key, **part.key)),
            )
            for part in manifest.parts
        )
    return found


def _manifests(lake: Lake) -> Iterator[Manifest]:
    return (manifest for table in TABLES for manifest in lake.partitions(table))


def _digest(table: pa.Table) -> str:
    plain, sink = table.replace_schema_metadata(None).combine_chunks(), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, plain.schema) as stream:
        stream.write_table(plain)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def answers(lake: Path | str) -> list[list[tuple[object, ...]]]:
    """What is asked of a lake."""
    opened = Lake(lake)
    return [opened.sql(question).fetchall() for question in ("from metrics order by all", "from accuracy order by all")]
