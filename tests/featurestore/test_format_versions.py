"""Lakes of other writers of this format: columns, tables and fields that a reader does not know, and some that are not there yet."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from benchmarks.lakes import put
from featurestore import CorruptionError, FormatError, Lake
from featurestore.care.verify import verify
from featurestore.layout.manifest import FORMAT_VERSION
from featurestore.layout.tables import TABLES, Domain
from featurestore.partitions.encoding import vector_array
from featurestore.query.duckdb_file import write_catalog
from tests.conftest import alter, random_activations
from tests.long import shortened

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[pa.Table], pa.Table]

ROWS = 3
WHERE = {"first": "a", "last": "c"}
"""The partition that another writer made."""
VALUE: dict[str, tuple[str, Any]] = {
    "activations": ("feature", None),
    "metrics": ("n_id", 1),
    "scores": ("score", 0.5),
}
"""A table with vectors, one that has had columns added already, and one with parts: a column of each, and its value."""


def with_column(rows: pa.Table) -> pa.Table:
    """Rows as a newer writer stores them: one text more, and one vector."""
    rows = rows.append_column("novelty", pa.array(["new"] * len(rows)))
    vector = vector_array("vector", np.ones((len(rows), 2)), "float16", np.arange(len(rows)))
    return rows.append_column("new_vector", vector)


def rows_of(table: str, seed: int = 0) -> pa.Table:
    """Rows that an ordinary writer stores."""
    columns = TABLES[table].columns
    if table == "activations":
        return random_activations(ROWS, width=3 + seed, seed=seed)
    name, value = VALUE[table]
    given: dict[str, Any] = {} if value is None else {name: [value] * ROWS}
    given |= {"sample": list(range(ROWS))} if "sample" in columns.names else {}
    given |= {"id_rank": [0.5] * ROWS} if table == "scores" else {}
    names = ("id_dataset", "ood_dataset", "aggregation")
    given |= {"detector": list("xyz"), **dict.fromkeys(names, ["x"] * ROWS)} if table == "metrics" else {}
    return pa.table({column: [None] * ROWS for column in columns.names} | given, columns)


LATER = {"later": Domain("bigint"), "later_text": Domain("varchar")}
"""Columns that a table has had added since."""


def with_later(rows: pa.Table) -> pa.Table:
    """Rows with the columns that a table has had added since."""
    if "later" in rows.schema.names:
        rows = rows.drop_columns(["later", "later_text"])
    return rows.append_column("later", pa.array([7] * ROWS)).append_column("later_text", pa.array(["t"] * ROWS))


def fill(lake: Lake, table: str, change: Change, where: str, others: Change = lambda rows: rows) -> None:
    """Three partitions, of which the first or last is another writer's."""
    for number, name in enumerate("abc"):
        path = dict.fromkeys(TABLES[table].path_columns, "x") | {TABLES[table].keys[-1]: name}
        put(lake, table, path, (change if name == WHERE[where] else others)(rows_of(table, number)))


def by_scan(lake: Lake, table: str, columns: list[str]) -> list[dict[str, Any]]:
    frame = lake.scan(table).collect()
    assert frame.columns == TABLES[table].sql_schema.names
    return frame.select(columns).to_dicts()


def by_scans_of_one(lake: Lake, table: str, columns: list[str]) -> list[dict[str, Any]]:
    rows = []
    for manifest in lake.partitions(table):
        frame = lake.scan(table, **manifest.key).collect()
        assert frame.columns == TABLES[table].sql_schema.names
        rows += frame.select(columns).to_dicts()
    return rows


def by_batches(lake: Lake, table: str, columns: list[str]) -> list[dict[str, Any]]:
    stored = [name for name in columns if name not in TABLES[table].path_columns]
    rows = []
    for manifest in lake.partitions(table):
        for part in manifest.parts:
            key = {**manifest.key, **part.key}
            whole = list(lake.batches(table, columns=stored, **key))
            pieces = [piece() for piece in lake.pieces(table, columns=stored, **key)]
            for blocks in (whole, pieces):
                assert len(blocks) == 1
            rows += [key | dict(zip(stored, row, strict=True)) for block in whole for row in zip(*block, strict=True)]
    return rows


def by_read(lake: Lake, table: str, _: list[str]) -> list[dict[str, Any]]:
    rows = []
    for manifest in lake.partitions(table):
        for part in manifest.parts:
            found = lake.read(table, **manifest.key, **part.key)
            assert found.schema.names == TABLES[table].columns.names
            rows += [{**manifest.key, **part.key, **row} for row in found.to_pylist()]
    return rows


def by_sql(lake: Lake, table: str, columns: list[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lake.sql(f"select {', '.join(columns)} from {table}").pl().to_dicts()
    return rows


def by_catalog(lake: Lake, table: str, columns: list[str]) -> list[dict[str, Any]]:
    file = Path(lake.location).parent / "catalog.duckdb"
    write_catalog(lake.storage, file)
    with duckdb.connect(file, read_only=True) as connection:
        rows: list[dict[str, Any]] = connection.sql(f"select {', '.join(columns)} from {table}").pl().to_dicts()
    return rows


READERS = {
    "scan": by_scan,
    "scan of one": by_scans_of_one,
    "batches": by_batches,
    "read": by_read,
    "SQL": by_sql,
    "catalog": by_catalog,
}


def plain(rows: list[dict[str, Any]], columns: list[str]) -> list[str]:
    """Rows as texts in one order, whatever holds their vectors."""
    return sorted(json.dumps([_plain(row[name]) for name in columns]) for row in rows)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else np.asarray(value, np.float64).tolist()


@pytest.mark.parametrize("where", shortened(WHERE))
@pytest.mark.parametrize("table", VALUE)
@pytest.mark.parametrize("reader", READERS)
def test_columns_of_a_newer_writer_are_passed_over(tmp_path: Path, reader: str, table: str, where: str) -> None:
    """One partition has a text and a vector more: every reader gives the rows that it would give without them."""
    lake, same = Lake(tmp_path / "lake"), Lake(tmp_path / "same")
    fill(lake, table, with_column, where)
    fill(same, table, lambda rows: rows, where)
    columns = [*TABLES[table].keys, VALUE[table][0]]
    found = READERS[reader](lake, table, columns)
    assert len(found) == 3 * ROWS
    assert plain(found, columns) == plain(READERS[reader](same, table, columns), columns)


@pytest.mark.parametrize("where", shortened(WHERE))
@pytest.mark.parametrize("table", VALUE)
@pytest.mark.parametrize("reader", READERS)
def test_columns_that_an_older_writer_did_not_know_are_null(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, table: str, where: str
) -> None:
    """The reader's table has had a number and a text added, which one partition lacks; the others keep their values."""
    older, later = TABLES[table], LATER
    newer = replace(older, domains={**older.domains, **later}, added=(*older.added, *later))
    monkeypatch.setitem(TABLES, table, newer)
    lake = Lake(tmp_path / "lake")
    fill(lake, table, lambda rows: rows.select(older.columns.names), where, others=with_later)
    model = newer.keys[-1]
    found = READERS[reader](lake, table, [model, *later, VALUE[table][0]])
    nothing = -1 if reader == "batches" else None
    told = {(row[model], row["later"], row["later_text"]) for row in found}
    assert told == {(name, nothing, None) if name == WHERE[where] else (name, 7, "t") for name in "abc"}
    assert len(found) == 3 * ROWS


@pytest.mark.parametrize("where", shortened(WHERE))
@pytest.mark.parametrize("table", VALUE)
@pytest.mark.parametrize("change", ["extra", "missing"])
def test_verify_finds_no_fault_in_lakes_of_other_writers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, table: str, where: str
) -> None:
    """Columns that it does not know, or that were added since, are no faults, whatever their values are."""
    lake = Lake(tmp_path / "lake")
    if change == "missing":
        older = TABLES[table]
        newer = replace(older, domains={**older.domains, **LATER}, added=(*older.added, *LATER))
        monkeypatch.setitem(TABLES, table, newer)
        fill(lake, table, lambda rows: rows.select(older.columns.names), where, others=with_later)
    else:
        fill(lake, table, with_column, where)
    faults: list[str] = []
    summary = verify(lake.storage, lambda fault: faults.append(str(fault)), deep=True)
    assert faults == []
    assert summary.fragments == 3


@pytest.mark.parametrize("reader", READERS)
def test_fragments_of_one_part_may_differ(tmp_path: Path, reader: str) -> None:
    """A job that was killed is finished by a newer writer: what is null in its first fragment has values in its second."""
    lake = Lake(tmp_path / "lake")
    older, later = random_activations(ROWS), with_column(random_activations(ROWS))
    sample = pa.array(range(ROWS, 2 * ROWS))
    put(lake, "activations", {"model": "a", "dataset": "x"}, [older, later.set_column(0, "sample", sample)])
    if reader == "batches":
        blocks = list(lake.batches(columns=("sample", "feature"), model="a", dataset="x"))
        assert np.concatenate([block[0] for block in blocks]).tolist() == list(range(2 * ROWS))
        return
    found = READERS[reader](lake, "activations", ["sample", "feature"])
    assert sorted(row["sample"] for row in found) == list(range(2 * ROWS))


def test_an_original_column_that_is_missing_is_no_null(tmp_path: Path) -> None:
    """Only what was added since may be missing: a fragment of scores without scores is broken, and never NaN in silence."""
    lake = Lake(tmp_path / "lake")
    fill(lake, "scores", lambda rows: rows.drop_columns("id_rank"), "last")
    key = {"benchmark": "x", "model": "x", "detector": "x", "dataset": "c"}
    for use in (
        lambda: list(lake.batches("scores", columns=("sample", "id_rank"), **key)),
        lambda: lake.read("scores", **key),
        lambda: lake.scan("scores").collect(),
        lambda: lake.sql("select id_rank from scores").fetchall(),
    ):
        with pytest.raises(Exception, match="id_rank"):
            use()
    faults: list[str] = []
    verify(lake.storage, lambda fault: faults.append(str(fault)))
    assert [fault for fault in faults if "it has the columns" in fault] == faults != []


def rewrite(lake: Lake, change: Callable[[dict[str, Any]], None]) -> None:
    """Manifests as another version writes them."""
    for path in Path(lake.location).rglob("_manifest.*.json"):
        alter(path, change)


def add_fields(document: dict[str, Any]) -> None:
    document |= {"minor": 7, "novelty": {"of": ["any", "kind"]}}
    for part in document["parts"]:
        part["novelty"] = 1
        for fragment in part["fragments"]:
            fragment["crc32"] = 2**32 - 1


@pytest.mark.parametrize("reader", READERS)
def test_a_newer_minor_version_reads(tmp_path: Path, reader: str) -> None:
    """Fields of manifests, parts and fragments, and a whole table, that are unknown here change nothing."""
    lake = Lake(tmp_path / "lake")
    fill(lake, "metrics", with_column, "first")
    before = plain(READERS[reader](lake, "metrics", ["model", "n_id"]), ["model", "n_id"])
    rewrite(lake, add_fields)
    unknown = Path(lake.location) / "novelties" / "model=a"
    unknown.mkdir(parents=True)
    (unknown / "_manifest.1.json").write_text('{"format": 1, "table": "novelties"}')
    assert plain(READERS[reader](lake, "metrics", ["model", "n_id"]), ["model", "n_id"]) == before
    assert verify(lake.storage, print, deep=True).faults == 0


def test_a_newer_minor_version_is_written_to(tmp_path: Path) -> None:
    """A part is added to what a newer writer committed: the parts that were there stay."""
    lake = Lake(tmp_path / "lake")
    key = {"benchmark": "main", "model": "m", "dataset": "d"}
    put(lake, "scores", {**key, "detector": "msp"}, rows_of("scores"))
    rewrite(lake, add_fields)
    put(lake, "scores", {**key, "detector": "knn"}, rows_of("scores"))
    assert sorted(lake.scan("scores").collect()["detector"].unique()) == ["knn", "msp"]


@pytest.mark.parametrize("reader", [*READERS, "verify"])
@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, 17])
def test_a_newer_major_version_is_refused(tmp_path: Path, reader: str, version: int) -> None:
    """With a sentence that says what to do, even where nothing else of the manifest is as it is here."""
    lake = Lake(tmp_path / "lake")
    fill(lake, "metrics", lambda rows: rows, "first")
    rewrite(lake, lambda document: document.clear() or document.update(format=version, tables=[]))
    sentence = (
        f"has format version {version}, and this featurestore reads version 1: upgrade featurestore to read this lake."
    )
    if reader == "verify":
        faults: list[str] = []
        verify(lake.storage, lambda fault: faults.append(str(fault)))
        assert [sentence in fault for fault in faults] == [True] * 3
    else:
        with pytest.raises(FormatError, match=sentence):
            READERS[reader](lake, "metrics", ["model"])


@pytest.mark.parametrize("version", [0, -1, "1", 1.5, None, True])
def test_what_is_no_version_is_no_manifest(tmp_path: Path, version: object) -> None:
    lake = Lake(tmp_path / "lake")
    fill(lake, "metrics", lambda rows: rows, "first")
    rewrite(lake, lambda document: document.update(format=version))
    with pytest.raises(CorruptionError, match="is not a manifest"):
        lake.scan("metrics")
