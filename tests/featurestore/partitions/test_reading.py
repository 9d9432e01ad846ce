from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featurestore import CorruptionError, Lake, MissingError
from featurestore.fragments import opening
from featurestore.layout.tables import TABLES
from featurestore.partitions import reading
from featurestore.partitions.encoding import ROW_GROUP_ROWS
from featurestore.partitions.writing import Target, commit, write_fragment
from tests.conftest import random_activations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
def filled(lake: Lake) -> Lake:
    write(lake, random_activations(30, seed=0), random_activations(11, seed=1))
    return lake


@pytest.mark.parametrize("rows", [1, 2, 7, 11, 30, 41, 10_000])
def test_blocks_of_any_size_hold_the_same_rows(filled: Lake, rows: int) -> None:
    """Order and values do not depend on how many rows a block may have, and no block has more."""
    found = blocks(filled, rows)
    assert max(len(block[0]) for block in found) <= rows
    tables = [random_activations(30, seed=0), random_activations(11, seed=1)]
    expected = [np.concatenate([t[name].to_numpy() for t in tables]) for name in ("sample",)]
    features = np.array([vector for t in tables for vector in t["feature"].to_pylist()], np.float16)
    labels = [-1 if label is None else label for t in tables for label in t["label"].to_pylist()]
    sample, label, feature, logits = joined(found)
    np.testing.assert_array_equal(sample, expected[0])
    np.testing.assert_array_equal(feature, features)
    assert label.tolist() == labels
    assert (feature.dtype, feature.shape, logits.shape) == (np.float16, (41, 3), (41, 2))


def test_columns_come_in_the_order_asked_for(filled: Lake) -> None:
    (label, sample), *_ = filled.batches(**KEY, columns=("label", "sample"))
    assert (sample[:3].tolist(), label[:3].tolist()) == ([0, 1, 2], [0, 1, -1])


def test_an_unknown_column_is_missing(filled: Lake) -> None:
    with pytest.raises(MissingError, match="has no column features: it has sample, label, feature, logits"):
        list(filled.batches(**KEY, columns=("features",)))


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
    monkeypatch.setattr(opening, "HASHED_BYTES", 0)
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


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path, _: path.unlink(), "missing"),
        (lambda path, _: path.write_bytes(path.read_bytes()[:-99]), "bytes instead of"),
        (lambda path, other: shutil.copy(other, path), ""),
    ],
)
def test_a_fragment_that_is_not_whole_is_named(filled: Lake, spoil: Callable[[Path, Path], Any], said: str) -> None:
    """Gone, cut off, or overwritten by another: its rows are not silently left out."""
    spoil(fragment(filled), fragment(filled, 1))
    with pytest.raises(CorruptionError, match=rf"{TARGET.fragment_path(0)} .*{said}"):
        blocks(filled)


def test_a_lake_that_moved_still_reads(filled: Lake, tmp_path: Path) -> None:
    """Nothing in a lake depends on where it lies."""
    expected = joined(blocks(filled))
    copy = Lake(shutil.copytree(filled.location, tmp_path / "elsewhere" / "a copy"))
    shutil.rmtree(filled.location)
    for found, wanted in zip(joined(blocks(copy)), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert copy.sql("select count(*) from activations").fetchall() == [(41,)]
    assert copy.scan("activations").collect().height == 41


def test_pieces_hold_what_blocks_hold(filled: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function for each small fragment, and for each row group of a large one; in any order."""
    expected = joined(blocks(filled))
    for hashed in (1 << 30, 0):
        monkeypatch.setattr(opening, "HASHED_BYTES", hashed)
        pieces = filled.pieces(**KEY, columns=COLUMNS)
        found = [piece() for piece in reversed(pieces)]
        for column, wanted in zip(joined(found[::-1]), expected, strict=True):
            np.testing.assert_array_equal(column, wanted)
        assert len(pieces) == 2


def test_few_row_groups_are_read_ahead(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are: memory is bounded. A reader that stops early leaves the others alone."""
    write(lake, random_activations(9 * ROW_GROUP_ROWS))
    begun: list[int] = []
    groups = reading._row_groups

    def counted(*part: Any) -> Iterator[Any]:
        for number, group in enumerate(groups(*part)):
            begun.append(number)
            yield group

    monkeypatch.setattr(reading, "_row_groups", counted)
    found = lake.batches(**KEY, columns=["sample"])
    next(found)
    found.close()
    assert begun == [0, 1, 2]
    assert sum(len(samples) for (samples,) in lake.batches(**KEY, columns=["sample"])) == 9 * ROW_GROUP_ROWS
