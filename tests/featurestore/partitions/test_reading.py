from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featurestore import CorruptionError, Lake, MissingError
from featurestore.layout.tables import TABLES
from featurestore.partitions import snapshot
from featurestore.partitions.writing import Target, commit, write_fragment

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

ACTIVATIONS = TABLES["activations"]
KEY = {"model": "m", "dataset": "d"}
COLUMNS = ("sample", "label", "feature", "logits")
TARGET = Target(ACTIVATIONS, KEY, {"seed": 0}, {})


def write(lake: Lake, *tables: pa.Table) -> None:
    fragments = [write_fragment(lake.storage, TARGET, n, table) for n, table in enumerate(tables)]
    commit(lake.storage, ACTIVATIONS, KEY, [TARGET.part(fragments)], replacing=False)


def blocks(lake: Lake, rows: int = 4096) -> list[tuple[np.ndarray, ...]]:
    return list(lake.batches(**KEY, columns=COLUMNS, batch_rows=rows))


def joined(found: list[tuple[np.ndarray, ...]]) -> list[np.ndarray]:
    return [np.concatenate(column) for column in zip(*found, strict=True)]


def fragment(lake: Lake, number: int = 0) -> Path:
    return Path(lake.storage.uri(f"{TARGET.folder}/{TARGET.fragment_path(number)}"))


@pytest.fixture
def filled(lake: Lake, activations: Callable[..., pa.Table]) -> Lake:
    write(lake, activations(30, seed=0), activations(11, seed=1))
    return lake


@pytest.mark.parametrize("rows", [1, 2, 7, 11, 30, 41, 10_000])
def test_blocks_of_any_size_hold_the_same_rows(filled: Lake, activations: Callable[..., pa.Table], rows: int) -> None:
    """Order and values do not depend on how many rows a block may have, and no block has more."""
    found = blocks(filled, rows)
    assert max(len(block[0]) for block in found) <= rows
    tables = [activations(30, seed=0), activations(11, seed=1)]
    expected = [np.concatenate([t[name].to_numpy() for t in tables]) for name in ("sample",)]
    features = np.array([vector for t in tables for vector in t["feature"].to_pylist()], np.float16)
    labels = [-1 if label is None else label for t in tables for label in t["label"].to_pylist()]
    sample, label, feature, logits = joined(found)
    np.testing.assert_array_equal(sample, expected[0])
    np.testing.assert_array_equal(feature, features)
    assert label.tolist() == labels
    assert (feature.dtype, feature.shape, logits.shape) == (np.float16, (41, 3), (41, 2))


def test_columns_come_in_the_order_asked_for(filled: Lake) -> None:
    """Each block is a tuple in the caller's order."""
    (label, sample), *_ = filled.batches(**KEY, columns=("label", "sample"))
    assert (sample[:3].tolist(), label[:3].tolist()) == ([0, 1, 2], [0, 1, -1])


def test_an_unknown_column_is_missing(filled: Lake) -> None:
    """The error lists the columns that there are."""
    with pytest.raises(MissingError, match="has no column features: it has sample, label, feature, logits"):
        list(filled.batches(**KEY, columns=("features",)))


def test_a_missing_fragment_is_named(filled: Lake) -> None:
    """A fragment that is gone is corruption: its rows are not silently left out."""
    fragment(filled, 1).unlink()
    with pytest.raises(CorruptionError, match=rf"{TARGET.fragment_path(1)} .*missing"):
        blocks(filled)


def test_a_truncated_fragment_is_named(filled: Lake) -> None:
    """So is one that lost its end."""
    data = fragment(filled).read_bytes()
    fragment(filled).write_bytes(data[: len(data) // 2])
    with pytest.raises(CorruptionError, match=rf"{TARGET.fragment_path(0)} .*bytes instead of {len(data)}"):
        blocks(filled)


def test_a_fragment_of_another_partition_is_named(filled: Lake) -> None:
    """So is one that was overwritten by another."""
    shutil.copy(fragment(filled, 1), fragment(filled, 0))
    with pytest.raises(CorruptionError, match=TARGET.fragment_path(0)):
        blocks(filled)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_never_gives_wrong_numbers(filled: Lake, where: float, bit: int) -> None:
    """Wherever it is, in a page, a header or the footer, the fragment is named and nothing is read."""
    good = fragment(filled).read_bytes()
    bad = bytearray(good)
    bad[int(where * len(good))] ^= 1 << bit
    fragment(filled).write_bytes(bad)
    try:
        with pytest.raises(CorruptionError, match=TARGET.fragment_path(0)):
            blocks(filled)
    finally:
        fragment(filled).write_bytes(good)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_flipped_bit_in_the_pages_of_a_large_fragment_is_found(
    filled: Lake, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    """A fragment too large to be hashed at once has its pages checked as they are read."""
    monkeypatch.setattr(snapshot, "HASHED_BYTES", 0)
    expected = joined(blocks(filled))
    assert [len(values) for values in expected] == [41] * 4
    data = bytearray(fragment(filled).read_bytes())
    import pyarrow.parquet as pq

    group = pq.read_metadata(fragment(filled)).row_group(0)
    chunk = group.column(COLUMNS.index(column))
    data[chunk.data_page_offset + chunk.total_compressed_size // 2 + 5] ^= 1
    fragment(filled).write_bytes(data)
    with pytest.raises(CorruptionError, match=TARGET.fragment_path(0)):
        blocks(filled)


def test_a_manifest_of_another_key_is_corruption(filled: Lake) -> None:
    """A partition's folder that was renamed says so instead of answering under a wrong name."""
    root = Path(filled.storage.uri("activations/model=m"))
    root.rename(root.with_name("model=other"))
    with pytest.raises(CorruptionError, match=r"activations \(model m, dataset d\): it was moved or altered"):
        filled.partitions("activations")
    with pytest.raises(CorruptionError, match="moved or altered"):
        filled.sql("from activations")


def test_a_manifest_of_another_version_is_corruption(filled: Lake) -> None:
    """A copy under a higher number would be the newest commit, and block the next one."""
    folder = fragment(filled).parent
    shutil.copy(folder / "_manifest.1.json", folder / "_manifest.7.json")
    with pytest.raises(CorruptionError, match=r"_manifest\.7\.json"):
        blocks(filled)


def test_a_backup_inside_a_partition_changes_nothing(filled: Lake) -> None:
    """A folder of the user's own below a partition is not that partition."""
    folder = fragment(filled).parent
    shutil.copytree(folder, folder / "backup")
    assert len(joined(blocks(filled))[0]) == 41
    assert len(filled.partitions("activations")) == 1


def test_the_highest_version_is_the_commit(lake: Lake, put: Callable[..., Any]) -> None:
    """Versions count as numbers: the tenth is newer than the ninth."""
    for seed in range(11):
        put(lake, "accuracy", KEY, {"n": [seed], "top1": [0.0], "top5": [0.0]}, {"seed": seed}, replacing=True)
    assert [m.version for m in lake.partitions("accuracy")] == [11]
    assert lake.read("accuracy", **KEY)["n"].to_pylist() == [10]


def test_a_snapshot_filters_by_key(lake: Lake, put: Callable[..., Any]) -> None:
    """Any subset of the keys selects, and names that begin alike are not confused."""
    for model in ("a", "ab", "b"):
        for dataset in ("x", "y"):
            put(lake, "accuracy", {"model": model, "dataset": dataset}, {"n": [1], "top1": [0.0], "top5": [0.0]})

    def keys(**key: str) -> list[str]:
        return ["".join(m.key.values()) for m in snapshot.current(lake.storage, TABLES["accuracy"], **key)]

    assert keys() == ["ax", "ay", "abx", "aby", "bx", "by"]
    assert keys(model="a") == ["ax", "ay"]
    assert keys(dataset="y") == ["ay", "aby", "by"]
    assert keys(model="b", dataset="y") == ["by"]
    assert keys(model="zzz") == []


def test_a_lake_that_moved_still_reads(filled: Lake, tmp_path: Path) -> None:
    """Nothing in a lake depends on where it lies."""
    expected = joined(blocks(filled))
    copy = Lake(shutil.copytree(filled.location, tmp_path / "elsewhere" / "a copy"))
    shutil.rmtree(filled.location)
    for found, wanted in zip(joined(blocks(copy)), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert copy.sql("select count(*) from activations").fetchall() == [(41,)]
    assert copy.scan("activations").collect().height == 41
