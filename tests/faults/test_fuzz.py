"""What a stranger may have written: whatever it is, it is read, or refused with a sentence, and soon, and nothing is written beside."""

from __future__ import annotations

import io
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from extract.datasets import FormatOptions, Origin, list_samples
from extract.images.decoding import error_text, read_rgb
from featurestore import Lake
from featurestore.care import verify
from featurestore.cli.app import COMMANDS, main
from featurestore.errors import LakeError
from featurestore.layout.tables import TABLES
from featurestore.query import fetch, library
from tests.conftest import alter, put_in_place
from tests.faults.fuzzing import changes, fuzz, sentence, soon, tried

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.filterwarnings("ignore::featurestore.errors.StaleWarning")

COUNTS = "select (select count(*) from metrics), (select count(*) from scores), (select count(*) from models)"
WHOLE = Path(__file__).parents[1] / "compat" / "lake_v1"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def copy(place: Path) -> Path:
    """The frozen lake, anew."""
    shutil.rmtree(place / "lake", ignore_errors=True)
    shutil.copytree(WHOLE, place / "lake")
    return place / "lake"


def used(lake: Path) -> None:
    """Whatever reads a lake."""
    opened = Lake(lake)
    tried(lambda: verify.verify(opened.storage, lambda _: None, deep=True))
    for table in TABLES:
        with suppress(pl.exceptions.PolarsError):  # what polars reads, it says in its own words
            tried(lambda table=table: opened.scan(table).collect())  # type: ignore[misc]
        for manifest in partitions(opened, table):
            for part in manifest.parts:
                tried(lambda held=manifest, key=part.key: opened.read(held.table, **held.key, **key))  # type: ignore[misc]
    tried(lambda: fetch(opened.sql(COUNTS)))


def partitions(lake: Lake, table: str) -> list[Any]:
    """What the lake says that it holds; nothing where that is refused."""
    try:
        return lake.partitions(table)
    except LakeError as error:
        sentence(error)
        return []


FRAGMENTS = sorted(WHOLE.rglob("*.parquet"))
MANIFESTS = sorted(WHOLE.rglob("*.json"))


@fuzz(4)
@given(fragment=st.sampled_from(FRAGMENTS), change=changes())
def test_fragments_whose_manifests_agree(place: Path, fragment: Path, change: Callable[[bytes], bytes]) -> None:
    """The manifest says that these bytes are right: what they hold is looked at all the same."""
    lake = copy(place)
    changed = lake / fragment.relative_to(WHOLE)
    put_in_place(changed, change(changed.read_bytes()))
    used(lake)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@fuzz(4)
@given(manifest=st.sampled_from(MANIFESTS), value=JSON, data=st.data())
def test_manifests_of_other_values(place: Path, manifest: Path, value: Any, data: st.DataObject) -> None:
    """With any JSON in the place of any of its values, and a checksum that is right."""
    lake = copy(place)

    def change(document: dict[str, Any]) -> None:
        inside: Any = document
        while True:
            keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
            key = data.draw(st.sampled_from(keys))
            if not (isinstance(inside[key], dict | list) and inside[key]) or data.draw(st.integers(0, 3)) == 0:
                inside[key] = value
                return
            inside = inside[key]

    alter(lake / manifest.relative_to(WHOLE), change)
    used(lake)


@fuzz(4)
@given(manifest=st.sampled_from(MANIFESTS), change=changes())
def test_manifests_of_other_bytes(place: Path, manifest: Path, change: Callable[[bytes], bytes]) -> None:
    lake = copy(place)
    changed = lake / manifest.relative_to(WHOLE)
    changed.write_bytes(change(changed.read_bytes()))
    used(lake)


CELL = st.text(st.characters(codec="utf-8") | st.sampled_from(",;\t\"'\n\r\\|/. 0a\0\x1b\u202e"), max_size=12)


@fuzz(40)
@given(
    rows=st.lists(st.lists(CELL, min_size=1, max_size=4), max_size=5),
    separator=st.sampled_from(",;\t |"),
    role=st.sampled_from(["ood", "id"]),
)
def test_lists_of_images(place: Path, rows: list[list[str]], separator: str, role: str) -> None:
    """Any text as a list: of names that there are not, for the most part."""
    file = place / "list.csv"
    file.write_text(
        "\n".join(separator.join(row) for row in rows), encoding="utf-8", errors="surrogatepass", newline=""
    )
    for kind in ("csv", "imglist"):
        tried(lambda kind=kind: list_samples(Origin(kind, str(file), FormatOptions()), role))  # type: ignore[misc]


HEADER = st.sampled_from(
    ["title", "question", "finding", "topic", "plot", "param", "argument", "column", "columns", "asked because", "x"]
)
LINE = st.builds("-- {} {}: {}".format, HEADER, CELL, CELL) | CELL
QUERY = st.sampled_from(["select 1 as x", "select $n as x", "from models", "drop table x", ""]) | CELL


@fuzz(40)
@given(lines=st.lists(LINE, max_size=6), query=QUERY)
def test_questions(lines: list[str], query: str) -> None:
    """Any comment lines, and any text below."""
    text = "\n".join(["-- title: t", *lines, query])
    tried(lambda: library.read_question(text, "q", "q.sql"))


def pictures() -> dict[str, bytes]:
    """Whole images of several kinds."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8))
    made = {}
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO"):
        stream = io.BytesIO()
        image.save(stream, kind)
        made[kind] = stream.getvalue()
    return made


PICTURES = pictures()


@fuzz(60)
@given(kind=st.sampled_from(sorted(PICTURES)), change=changes(), again=changes())
def test_images(kind: str, change: Callable[[bytes], bytes], again: Callable[[bytes], bytes]) -> None:
    """Pixels, or what went wrong in a line; any exception is a sample's failure, but the process goes on."""
    stream = io.BytesIO(again(change(PICTURES[kind])))
    with soon():
        try:
            said = read_rgb(stream).mode
        except Exception as error:  # noqa: BLE001 # decoders raise almost anything on a broken file
            said = error_text(error, stream)
    assert said


WORD = st.text(st.characters(codec="utf-8", exclude_characters="/~\0"), max_size=10).filter(lambda text: text != ".")
VALUE = WORD | st.sampled_from(
    [
        "a",
        "0",
        "-1",
        "1e9",
        "nan",
        "test",
        "vit-b16",
        "metrics",
        "select 1",
        "main",
        "msp",
        "-",
        "--",
        "=",
        "a=b",
        "\x1b[31m",
    ]
)
OPTION = st.sampled_from(
    ["--lake", "--format", "--param", "--where", "--model", "--dataset", "--detector", "--benchmark", "--role", "--older-than", "--deep",
     "--dry-run", "--memory", "--metric", "--strict", "--limit", "--debug2", "-h"]
)  # fmt: skip
GROUPS = {
    ("dataset",): ("add", "list", "set", "remove", "rename"), ("model",): ("list", "set", "remove", "rename"),
    ("benchmark",): ("add", "list", "remove", "set", "rename"), ("detector",): ("list", "remove", "rename"),
}  # fmt: skip
PLAIN = [
    (name,) for name in COMMANDS if name not in {"demo", "extract", "judge", "cache", *(group for (group,) in GROUPS)}
]
COMMAND = st.sampled_from([*PLAIN, *((*group, verb) for group, verbs in GROUPS.items() for verb in verbs)])


@fuzz(20)
@given(command=COMMAND, words=st.lists(VALUE | OPTION, max_size=5))
def test_command_lines(place: Path, command: tuple[str, ...], words: list[str]) -> None:
    """Each ends with one of its exit codes, and with a sentence where it failed; nothing is written outside of where it runs."""
    if not (place / "lake").exists():
        copy(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(sys, "argv", ["featurestore", *command, *words])
        patch.setattr(sys, "stdin", io.StringIO())
        patch.setattr(sys, "stdout", io.StringIO())
        patch.setattr(sys, "stderr", said := io.StringIO())
        patch.delenv("FEATURESTORE_LAKE", raising=False)
        before = set(os.listdir(place.parent))  # noqa: PTH208
        with soon(), pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code in {0, 1, 2, 3}
        if ended.value.code == 1 and said.getvalue():
            assert "Traceback" not in said.getvalue()
        assert set(os.listdir(place.parent)) == before  # noqa: PTH208
