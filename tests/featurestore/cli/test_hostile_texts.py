"""A lake whose texts are escape sequences and markup: no command passes them on to a terminal or a page."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.cli.render import FORMATS
from tests.conftest import put_in_place
from tests.featurestore.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline import Commands

FROZEN = ROOT / "tests" / "compat" / "lake_v1"
EVIL = "\x1b[2J\u202e\x9b\x07</script><img src=x onerror=alert(1)>|`*[/x][bold]"
TEXTS = {
    "models": ("architecture", "augmentation", "pretraining", "finetune_dataset", "source"),
    "samples": ("class_name",),
    "metrics": ("ood_class",),
    "failures": ("path", "error"),
}
COMMANDS = (
    "status", "verify --deep", "model list", "dataset list", "benchmark list", "detector list", "gc --dry-run", "catalog made.duckdb",
    "copy LAKE copied", "score --detector msp", "sql 'from failures'", "ask worst_classes", "report out.html", "ask best_detector --plot out.html",
    "model set vit-b16 weight_decay=0.5 --dry-run", "status --json", "model list --json",
)  # fmt: skip


@pytest.fixture
def hostile(fresh: Commands) -> Commands:
    """The frozen lake with other texts, whose checksums are right."""
    shutil.copytree(FROZEN, fresh.location)
    for table, columns in TEXTS.items():
        for path in (fresh.location / table).rglob("*.parquet"):
            put_in_place(path, with_texts(path, columns))
    return fresh


def with_texts(path: Path, columns: tuple[str, ...]) -> bytes:
    """The fragment's rows as another file."""
    table, file = pq.read_table(path, partitioning=None), io.BytesIO()
    for name in columns:
        texts = [f"{EVIL}{value}" if value is not None else None for value in table[name].to_pylist()]
        table = table.set_column(table.column_names.index(name), table.schema.field(name), pa.array(texts, pa.string()))
    if "recipe" in table.column_names:
        recipe = pa.array([json.dumps({"note": EVIL})] * table.num_rows, pa.string())
        table = table.set_column(table.column_names.index("recipe"), table.schema.field("recipe"), recipe)
    pq.write_table(table, file)
    return file.getvalue()


def inert(text: str) -> None:
    assert text.replace("\n", "").isprintable(), re.findall(r"[^\n]{0,40}[^\n -\ud7ff][^\n]{0,10}", text)[:3]
    assert "Traceback" not in text


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_passes_no_control_on(
    hostile: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Whether it answers or refuses; and no page has an element of theirs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    outcome = hostile(*(str(hostile.location) if word == "LAKE" else word for word in shlex.split(command)))
    assert outcome.code in {0, 1, 3}
    inert(outcome.out + outcome.err)
    for page in tmp_path.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        outside = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
        assert not {"\x1b", "\x9b", "\u202e"} & set(outside)
        assert "<img src=x" not in text
        assert "</script><img" not in text


@pytest.mark.parametrize("format_", [each for each in FORMATS if each != "parquet"])
def test_a_format_passes_no_control_on(hostile: Commands, monkeypatch: pytest.MonkeyPatch, format_: str) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    for query in ("from models", "select * from samples limit 3", "select * from metrics limit 3", "from failures"):
        inert(hostile.ok("sql", query, "--format", format_))


@pytest.mark.parametrize("name", ["a\x1b[2Jb", "<img src=x>", "../x", "a\u202eb", "[bold]"])
def test_a_name_of_them_is_refused_where_it_comes_in(fresh: Commands, name: str) -> None:
    """As the name of a dataset, a model or a detector."""
    shutil.copytree(FROZEN, fresh.location)
    for typed in (
        ("dataset", "rename", "far", name),
        ("model", "rename", "vit-b16", name),
        ("detector", "rename", "msp", name),
    ):
        inert(fresh.refused(*typed))
    (fresh.location / "models" / "model=vit-b16").rename(fresh.location / "models" / f"model={name.replace('/', '-')}")
    outcome = fresh("model", "list")
    inert(outcome.out + outcome.err)
