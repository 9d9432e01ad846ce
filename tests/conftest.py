"""An empty lake, and real writes into it."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import settings

from benchmarks import lakes
from featurestore import Lake
from featurestore.care import verify
from featurestore.layout.manifest import sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa

    Run = Callable[..., tuple[int, str, str]]

    from tests.pipeline import Commands

# Machines are shared: how long an example takes says nothing about the code.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")


RAY = [
    pytest.mark.ray,
    # Ray leaves its own sockets and files to the garbage collector.
    *(
        pytest.mark.filterwarnings(f"ignore::{name}")
        for name in ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning")
    ),
    *(pytest.mark.filterwarnings(f"ignore:.*:{name}") for name in ("DeprecationWarning", "FutureWarning")),
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests come first: one that came last would leave the other workers with nothing to do."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests read of buckets is kept apart from what the user reads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATURESTORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    (tmp_path / "lake").mkdir()
    return Lake(tmp_path / "lake")


def faults(lake: Lake, *, deep: bool = True) -> list[str]:
    """What `verify` finds wrong."""
    found: list[str] = []
    summary = verify.verify(lake.storage, lambda fault: found.append(str(fault)), deep=deep)
    assert summary.faults == len(found)
    return found


def alter(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a manifest as a faulty or hostile writer would have written it: with a checksum of itself, if it had one."""
    document = json.loads(path.read_bytes())
    was_sealed = document.pop("checksum", None)
    change(document)
    text = json.dumps(document, indent=1).encode()
    path.write_bytes(sealed(text) if was_sealed else text)


def put_in_place(path: Path, content: bytes) -> None:
    """Put another file in the place of a fragment, and its size and checksum into the manifest, as `alter` does."""
    path.write_bytes(content)

    def agree(document: dict[str, Any]) -> None:
        entries = [one for part in document["parts"] for one in part["fragments"]]
        (entry,) = (one for one in entries if path.as_posix().endswith(one["path"]))
        entry |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    folder = next(parent for parent in path.parents if list(parent.glob("_manifest.*.json")))
    alter(max(folder.glob("_manifest.*.json")), agree)


def random_activations(rows: int, width: int = 3, classes: int = 2, dtype: str = "float16", seed: int = 0) -> pa.Table:
    generator = np.random.default_rng(seed)
    label = [None if i % 3 == 2 else i for i in range(rows)]
    vectors = (generator.normal(size=(rows, size)) for size in (width, classes))
    return lakes.activations(np.arange(rows), label, *vectors, dtype)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the lake that the whole pipeline made, filled once and never changed."""
    return tmp_path_factory.mktemp("pipeline")


@pytest.fixture
def fresh(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The command line on a lake that is not there yet."""
    from tests.pipeline import Commands  # slow to import, and few tests ask for it

    return Commands(tmp_path, capsys, monkeypatch)


@pytest.fixture
def commands(made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The command line on that lake."""
    from tests.pipeline import Commands, make_lake

    commands = Commands(made, capsys, monkeypatch)
    if not (made / "done").exists():
        make_lake(commands)
        (made / "done").touch()
    return commands


@pytest.fixture
def copied(commands: Commands, fresh: Commands) -> Commands:
    """The command line on a copy of that lake and its models, which the test may change."""
    for name in ("lake", "models"):
        shutil.copytree(commands.folder / name, fresh.folder / name)
    return fresh


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """The command in this process: exit code, standard output, standard error."""
    from featurestore.cli.app import main

    monkeypatch.delenv("FEATURESTORE_LAKE", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["featurestore", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, captured.out, captured.err

    return call


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Ray cluster of two nodes on this machine."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray
        from ray.cluster_utils import Cluster

        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        nodes.add_node(num_cpus=1)
        nodes.wait_for_nodes()
        yield nodes
        ray.shutdown()
        nodes.shutdown()
