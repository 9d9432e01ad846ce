"""The frozen lakes of format version 1 must read for ever, and `docs/format.md` must say how."""

from __future__ import annotations

import hashlib
import io
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore import Lake
from featurestore.care import verify
from featurestore.layout import manifest
from featurestore.layout.fingerprint import fingerprint
from featurestore.layout.tables import TABLES, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import duckdb

ROOT = Path(__file__).parents[2]
COMPAT = ROOT / "tests" / "compat"
LAKE = COMPAT / "lake_v1"
GOLDEN = json.loads((COMPAT / "golden.json").read_text(encoding="utf-8"))
ADDITIONS = json.loads((COMPAT / "golden_additions.json").read_text(encoding="utf-8"))
LAKES = {"lake_v1": GOLDEN["tables"], "lake_v1_additions": ADDITIONS["tables"]}
"""The first lake of the version, and one with all that was added to the version since."""
FORMAT = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
QUESTION = "accuracy_vs_unit_test_fpr"
TYPE_NAMES = {
    pa.string(): "text",
    pa.int64(): "int64",
    pa.bool_(): "bool",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.list_(pa.string()): "list of text",
    pa.list_(pa.float64()): "list of double",
    pa.list_(pa.float32()): "vector",
}


def read_as_documented(lake: Path, table: str) -> list[dict[str, Any]]:
    """A reader written from docs/format.md alone: JSON, Parquet, nothing of this package."""
    newest: dict[Path, int] = {}
    for path in (lake / table).rglob("_manifest.*.json"):
        version = int(path.name.split(".")[1])
        newest[path.parent] = max(version, newest.get(path.parent, 0))
    rows = []
    for folder, version in newest.items():
        document = json.loads((folder / f"_manifest.{version}.json").read_bytes())
        place = "/".join(
            [document["table"], *(f"{name}={value.replace('=', '%3D')}" for name, value in document["key"].items())]
        )
        assert document["format"] == 1
        assert (place, document["version"]) == (folder.relative_to(lake).as_posix(), version)
        for part in document["parts"]:
            for fragment in part["fragments"]:
                assert all(
                    re.fullmatch(r"(?=.*[^.])([a-z0-9._=@,-]|%3D)+", name) for name in fragment["path"].split("/")
                )
                data = (folder / fragment["path"]).read_bytes()
                assert (len(data), hashlib.sha256(data).hexdigest()) == (fragment["bytes"], fragment["sha256"])
                found = pq.ParquetFile(io.BytesIO(data)).read().to_pylist()
                assert len(found) == fragment["rows"]
                rows += [{**document["key"], **part["key"], **row} for row in found]
    return rows


def check_golden(golden: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    """Rows have the golden values; their order, and columns that were added since, do not matter."""
    columns = list(dict.fromkeys(name for row in golden for name in row))
    assert len(rows) == len(golden)
    assert in_order(rows, columns) == in_order(golden, columns)


def in_order(rows: list[dict[str, Any]], columns: Iterable[str]) -> list[str]:
    """Rows as texts that tell equal values from unequal ones, in one order."""
    return sorted(json.dumps([plain(row.get(name)) for name in columns]) for row in rows)


def plain(value: Any) -> Any:
    """A value as JSON has it: vectors as lists of float64."""
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(element) for element in value]
    return float(value) if isinstance(value, np.floating) else value


@pytest.fixture(scope="module")
def lake() -> Lake:
    return Lake(LAKE)


@cache
def _connection(lake: str) -> duckdb.DuckDBPyConnection:
    return Lake(lake).connect()


READERS: dict[str, Callable[[Lake, str], list[dict[str, Any]]]] = {
    "documented": lambda lake, table: read_as_documented(Path(lake.location), table),
    "polars": lambda lake, table: lake.scan(table).collect().to_dicts(),
    # The view of benchmarks shows all that datasets make up, not only those of which something is set, that of metrics one spectrum, and
    # that of selective prediction the rows without an OOD set.
    "DuckDB": lambda lake, table: (
        _connection(lake.location)
        .sql(f"from {'stored.' * (table in {'benchmarks', 'metrics', 'selective'})}{table}")
        .pl()
        .to_dicts()
    ),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("name", LAKES)
def test_rows_are_the_golden_ones(name: str, table: str, reader: str) -> None:
    """In the way that the page documents, which is enough to read every table, and in the package's."""
    check_golden(LAKES[name].get(table, []), READERS[reader](Lake(COMPAT / name), table))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_batches_give_the_golden_rows(lake: Lake, dtype: str) -> None:
    """Blocks of both precisions, over several fragments, with a sample missing and labels missing."""
    model = {"float16": "vit-b16", "float32": "clip-b32"}[dtype]
    for dataset in ("train", "test", "far", "unit-tests"):
        expected = [
            row for row in GOLDEN["tables"]["activations"] if (row["model"], row["dataset"]) == (model, dataset)
        ]
        blocks = list(
            lake.batches(model=model, dataset=dataset, columns=("sample", "label", "feature", "logits"), batch_rows=3)
        )
        sample, label, feature, logits = (np.concatenate(arrays) for arrays in zip(*blocks, strict=True))
        assert (feature.dtype, logits.dtype) == (dtype, dtype)
        assert sample.tolist() == [row["sample"] for row in expected]
        assert label.tolist() == [-1 if row["label"] is None else row["label"] for row in expected]
        assert feature.tolist() == [row["feature"] for row in expected]
        assert logits.tolist() == [row["logits"] for row in expected]


def test_a_question_gives_the_golden_answer(lake: Lake) -> None:
    """The contract's columns and values stay."""
    rows = lake.ask(QUESTION).pl().to_dicts()
    assert [{name: row[name] for name in GOLDEN["question"][0]} for row in rows] == GOLDEN["question"]


@pytest.mark.parametrize("reader", ["polars", "DuckDB"])
@pytest.mark.parametrize("table", [table for table in TABLES.values() if table.added], ids=lambda table: table.name)
def test_columns_that_were_added_since_are_null(lake: Lake, table: Table, reader: str) -> None:
    """Fragments of older lakes lack them; some of a lake's fragments may have them."""
    rows = READERS[reader](lake, table.name)
    assert rows
    assert {row[name] for row in rows for name in table.added} == {None}


@pytest.mark.parametrize("name", LAKES)
def test_nothing_is_wrong_with_it(name: str) -> None:
    """Checksums, fingerprints, samples, numbers and heads are as they were."""
    faults: list[verify.Fault] = []
    verify.verify(Lake(COMPAT / name).storage, faults.append, deep=True)
    assert faults == []


def test_all_that_was_added_is_frozen_too() -> None:
    """Each table and column that is not in the first lake has values in the other one, and so have names of views.

    To add one: write a partition more into that lake, with `benchmarks.lakes.put_rows`, append its rows to
    `golden_additions.json`, and a line to the table in docs/format.md. What is there is never made again.
    """
    first, second = LAKES.values()
    for table in TABLES.values():
        is_new = table.name not in first
        assert not is_new or table.name in second, table.name
        for column in table.added:
            assert any(row.get(column) is not None for row in second[table.name]), column
    assert any("@" in row["model"] for row in second["activations"])
    assert any("=" in row["detector"] for row in second["detectors"])
    removed = json.loads((COMPAT / "lake_v1_additions" / "models" / "model=gone" / "_manifest.2.json").read_text())
    assert removed["parts"] == []


def test_logits_that_are_not_stored_are_computed() -> None:
    """In the way that the page documents: from the features and the head."""
    tables = LAKES["lake_v1_additions"]
    head = [row for row in tables["heads"] if row["model"] == "vit-b16"]
    weight, bias = (np.array([row[name] for row in head]) for name in ("weight", "bias"))
    rows = [row for row in tables["activations"] if (row["model"], row["dataset"]) == ("vit-b16", "train")]
    ((feature, logits),) = Lake(COMPAT / "lake_v1_additions").batches(
        model="vit-b16", dataset="train", columns=("feature", "logits")
    )
    assert feature.tolist() == [row["feature"] for row in rows]
    np.testing.assert_allclose(logits, feature @ weight.T + bias, rtol=1e-6)


def test_the_lake_covers_what_can_differ(lake: Lake) -> None:
    """Several fragments, several versions, several parts, no rows, both precisions: nothing of the format is left out."""
    held = [manifest for table in TABLES for manifest in lake.partitions(table)]
    parts = [part for manifest in held for part in manifest.parts]
    assert {manifest.version for manifest in held} == {1, 2}
    assert max(len(part.fragments) for part in parts) == 3
    assert max(len(manifest.parts) for manifest in held) == 3
    assert min(part.rows for part in parts) == 0
    assert sum(file.stat().st_size for file in LAKE.rglob("*") if file.is_file()) < 200_000


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_table_is_on_the_page(table: Table) -> None:
    def names(columns: tuple[str, ...]) -> str:
        return ", ".join(f"`{name}`" for name in columns) or "—"

    columns = ", ".join(f"`{field.name}` {TYPE_NAMES[field.type]}" for field in table.columns)
    assert f"| `{table.name}` | {names(table.keys)} | {names(table.part_keys)} | {columns} |" in FORMAT


def test_the_example_manifest_is_one_and_has_the_documented_fingerprint() -> None:
    """The page's example passes the reader, and its fingerprint is the sha256 of the canonical text."""
    example, canonical = re.findall(r"```json\n(.*?)\n```", FORMAT, re.DOTALL)
    read = manifest.from_json(example.encode(), "docs/format.md")
    (part,) = read.parts
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    assert fingerprint(read.table, {**read.key, **part.key}, part.ingredients) == part.fingerprint == digest
    assert FORMAT.count(digest) == 2
    assert part.fragments[0].path == f"detector=msp/{digest[:12]}-00000.parquet"


def test_every_field_of_a_manifest_is_on_the_page() -> None:
    """Nothing is written that the page does not explain."""

    def fields(value: Any, prefix: str) -> set[str]:
        if isinstance(value, list):
            return fields(value[0], f"{prefix}[]") if value else set()
        if not isinstance(value, dict) or prefix.rpartition(".")[2] in {"key", "ingredients", "details"}:
            return {prefix}
        return {prefix} | {
            name for key, inner in value.items() for name in fields(inner, f"{prefix}.{key}".lstrip("."))
        }

    for path in LAKE.rglob("_manifest.*.json"):
        for name in fields(json.loads(path.read_text()), ""):
            assert name in {"", "parts[]", "parts[].fragments[]"} or f"| `{name}` |" in FORMAT, name
