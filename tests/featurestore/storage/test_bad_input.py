"""Disks that are full, stores that do not answer, settings that make no sense: one sentence each, and a lake that still reads."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from featurestore import Lake
from featurestore.errors import InputError, MissingError, StorageError
from featurestore.storage import open_storage
from featurestore.storage.remote import ObjectStorage
from tests.featurestore.conftest import python
from tests.featurestore.storage.writer_job import Job, state
from tests.s3.server import environment, new_lake, real_endpoint, use

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 15
COMMANDS = {
    "sql": ["sql", "from metrics"],
    "ask": ["ask", "best_detector"],
    "score": ["score"],
    "dataset add": ["dataset", "add", "d", "images", "--role", "fit"],
}


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a dataset in it, and no AWS variable or settings file of the user's."""
    use(monkeypatch, {})
    (tmp_path / "images" / "ant").mkdir(parents=True)
    (tmp_path / "images" / "ant" / "1.png").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(command: str, lake: str) -> str:
    """Run a command in a process of its own; it must fail with one sentence, in time, without a traceback."""
    start = time.monotonic()
    done = python("-m", "featurestore", *COMMANDS[command], "--lake", lake)
    assert time.monotonic() - start < SECONDS
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert done.stderr.startswith("Error: Cannot ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def all_refused(lake: str, *commands: str) -> set[str]:
    """What those commands, or all of them, give as the reason."""
    chosen = commands or tuple(COMMANDS)
    with ThreadPoolExecutor(len(chosen)) as pool:
        return set(pool.map(lambda command: refused(command, lake).partition(f"{lake}: ")[2], chosen))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        done = subprocess.run(mount, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_stops_the_job_and_nothing_else(small_disk: Path, tmp_path: Path) -> None:
    """One sentence; what was committed still reads; with room again the job goes on where it was."""
    lake, peace = Lake(small_disk / "lake"), open_storage(str(tmp_path / "peace"))
    Job(seed=1, fragments=2).run(lake.storage)
    before = state(lake.storage)
    job = replace(Job(seed=0, rows=4_000), replacing=True)
    with pytest.raises(
        StorageError, match=r"^Cannot write activations/model=m/dataset=d/.* in the lake at .*: No space left"
    ):
        job.run(lake.storage)
    assert state(lake.storage) == before
    assert lake.sql("select count(*) from activations").fetchall() == [(80,)]
    assert not list(small_disk.rglob(".staged-*"))
    fragments = sorted(small_disk.rglob(f"{job.target.fingerprint[:12]}-*.parquet"))
    written = {path: path.stat().st_mtime_ns for path in fragments}
    assert 0 < len(written) < job.fragments
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    assert job.run(lake.storage) == job.fragments - len(written)
    assert {path: path.stat().st_mtime_ns for path in fragments} == written
    job.run(peace)
    assert state(lake.storage)[1:] == state(peace)[1:]


@pytest.mark.usefixtures("workplace")
def test_a_command_on_a_full_disk_says_so(small_disk: Path) -> None:
    """`dataset add` fails with the reason, and works once there is room."""
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    assert "No space left on device" in refused("dataset add", str(small_disk / "lake"))
    filler.unlink()
    assert python("-m", "featurestore", *COMMANDS["dataset add"], "--lake", small_disk / "lake").returncode == 0
    assert Lake(small_disk / "lake").sql("select dataset from datasets").fetchall() == [("d",)]


@pytest.fixture
def closed_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def silent_port() -> Iterator[str]:
    """A loopback address that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize("port", ["closed_port", "silent_port"])
def test_an_endpoint_that_does_not_answer(
    port: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command gives up within 15 seconds, and names the endpoint and the variable."""
    endpoint = request.getfixturevalue(port)
    use(monkeypatch, environment(endpoint))
    assert all_refused("s3://bucket/lake") == {f"{endpoint} does not answer; check AWS_ENDPOINT_URL and the network.\n"}


@pytest.mark.usefixtures("workplace")
def test_no_credentials_at_all(closed_port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No endless search for a machine's own role: the variables to set are named."""
    variables = {"AWS_ENDPOINT_URL": closed_port, "AWS_METADATA_ENDPOINT": closed_port, "AWS_REGION": "us-east-1"}
    use(monkeypatch, variables)
    assert all_refused("s3://bucket/lake", "sql") == {
        "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.\n"
    }


@pytest.mark.s3
@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize("wrong", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = new_lake(real_endpoint())
    use(monkeypatch, {**environment(real_endpoint()), wrong: "wrong"})
    assert all_refused(lake, "sql", "dataset add") == {
        "the store refuses these credentials; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY and their rights.\n"
    }


@pytest.mark.s3
@pytest.mark.usefixtures("workplace")
def test_a_missing_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not taken for an empty lake."""
    use(monkeypatch, environment(real_endpoint()))
    assert all_refused("s3://no-such-bucket/lake") == {"the bucket does not exist; make it, or correct --lake.\n"}


@pytest.mark.s3
def test_the_endpoint_may_stand_in_the_settings(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`featurestore.toml` in the working folder, or above it, is enough beside the credentials for the lake that it names."""
    endpoint = real_endpoint()
    lake = new_lake(endpoint)
    use(monkeypatch, {**environment(endpoint), "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    settings = f'lake = "{lake}"\nendpoint = "{endpoint}"\nregion = "us-east-1"\npath_style = true\n'
    (workplace / "featurestore.toml").write_text(settings)
    (workplace / "below").mkdir()
    monkeypatch.chdir(workplace / "below")
    monkeypatch.delenv("FEATURESTORE_LAKE", raising=False)
    Job(fragments=2).run(Lake().storage)
    assert Lake().sql("select count(*) from activations").fetchall() == [(80,)]
    assert state(Lake().storage)[1][0].rows == 80


@pytest.mark.s3
def test_a_scan_takes_the_endpoint_of_the_settings(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """polars reads the variables alone, so it must be told what the settings say."""
    endpoint = real_endpoint()
    lake = new_lake(endpoint, f"featurestore-{uuid.uuid4().hex}")  # polars remembers how it reached a bucket
    use(monkeypatch, {**environment(endpoint), "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    (workplace / "own.toml").write_text(f'endpoint = "{endpoint}"\n')
    monkeypatch.setenv("FEATURESTORE_CONFIG", str(workplace / "own.toml"))
    Job(fragments=2).run(open_storage(lake))
    assert Lake(lake).scan("activations", model="m").collect().height == 80


def test_an_endpoint_in_the_settings_is_the_one_that_is_asked(
    workplace: Path, closed_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names it; so does one from a file that `$FEATURESTORE_CONFIG` names."""
    use(monkeypatch, {**environment("http://127.0.0.1:9"), "FEATURESTORE_CONFIG": str(workplace / "own.toml")})
    (workplace / "own.toml").write_text(f'endpoint = "{closed_port}"\n')
    with pytest.raises(StorageError, match=f"{closed_port} does not answer"):
        open_storage("s3://bucket/lake").exists()


def test_settings_that_lie_in_a_folder_send_no_credentials_elsewhere(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They came with somebody's project: what the user named is not redirected, over HTTP nothing is sent, and what counts is said."""
    use(monkeypatch, {**environment("http://127.0.0.1:9"), "AWS_SESSION_TOKEN": "secret"})
    monkeypatch.setenv("FEATURESTORE_CONFIG_OF_LAKE", "")
    file = workplace / "featurestore.toml"
    file.write_text('lake = "s3://bucket/lake"\nendpoint = "http://stranger.example"\n')
    storage = Lake("s3://bucket/lake").storage
    assert isinstance(storage, ObjectStorage)
    assert storage.polars_options["aws_endpoint_url"] == "http://127.0.0.1:9"
    assert f"{file} says endpoint http://stranger.example, which does not count" in storage.remark
    monkeypatch.delenv("FEATURESTORE_LAKE", raising=False)
    with pytest.raises(InputError, match=r"unencrypted: use https, or consent with FEATURESTORE_ALLOW_HTTP=1"):
        Lake()
    file.write_text('lake = "s3://bucket/lake"\nendpoint = "https://own.example"\n')
    said = f"As {file} says: lake s3://bucket/lake, endpoint https://own.example."
    assert Lake().storage.remark == said
    named = open_storage("s3://bucket/images", "bucket")
    assert isinstance(named, ObjectStorage)
    assert named.polars_options["aws_endpoint_url"] == "https://own.example", "its datasets lie in the same store"


def test_a_password_in_a_location_is_neither_stored_nor_shown() -> None:
    for location in ("s3://KEY:hunter2@bucket/lake", "https://store.example/lake?sp=r&sig=hunter2"):
        with pytest.raises(InputError, match="holds a password or key") as caught:
            open_storage(location)
        assert "hunter2" not in str(caught.value)


SETTINGS = {
    "an unknown key": ('endpiont = "x"', MissingError, "did you mean 'endpoint'?"),
    "a number for text": ("region = 3", InputError, "region must be text, not 3."),
    "text for yes or no": ('path_style = "yes"', InputError, "path_style must be true or false, not 'yes'."),
    "a table": ("[endpoint]\nurl = 'x'", InputError, "endpoint must be text"),
    "not TOML": ("endpoint: x", InputError, "Cannot read the settings"),
    "not text": ("\udcff", InputError, "Cannot read the settings"),
}


@pytest.mark.parametrize("mistake", SETTINGS)
def test_settings_that_make_no_sense(mistake: str, workplace: Path) -> None:
    """One sentence that names the file, what is wrong in it, and where it can, what was meant."""
    text, error, message = SETTINGS[mistake]
    file = workplace / "featurestore.toml"
    file.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(error) as caught:
        open_storage("s3://bucket/lake")
    assert str(file) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_that_are_not_there(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATURESTORE_CONFIG", str(workplace / "nowhere.toml"))
    with pytest.raises(InputError, match=r"Cannot read the settings .*nowhere\.toml"):
        open_storage("s3://bucket/lake")
