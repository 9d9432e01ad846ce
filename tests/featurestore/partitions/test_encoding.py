from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from featurestore.errors import NumericalError
from featurestore.partitions.encoding import ROW_GROUP_ROWS, dealt_back, dealt_out, encode, to_numpy, vector_array
from tests.conftest import random_activations
from tests.featurestore.conftest import ROOT, python

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

dtypes = st.sampled_from(["float16", "float32"])


@st.composite
def matrices(draw: st.DrawFn) -> NDArray[Any]:
    dtype = draw(dtypes)
    shape = (draw(st.integers(0, 9)), draw(st.integers(1, 5)))
    width = int(dtype[-2:])
    finite = st.floats(allow_nan=False, allow_infinity=False, width=width)
    return draw(hnp.arrays(dtype, shape, elements=finite))


def read_back(table: pa.Table) -> pa.Table:
    return pq.read_table(pa.BufferReader(encode(table)))


@given(matrices())
def test_vectors_come_back_bit_for_bit(values: NDArray[Any]) -> None:
    """What is stored in its own precision is what is read, the sign of zero and subnormal numbers included."""
    stored = vector_array("feature", values, str(values.dtype), np.arange(len(values)))
    again = to_numpy(read_back(pa.table({"feature": stored}))["feature"])
    assert (again.dtype, again.shape, again.tobytes()) == (values.dtype, values.shape, values.tobytes())


@given(matrices(), st.integers(0, 9), st.integers(0, 9))
def test_slices_of_vectors_read_right(values: NDArray[Any], start: int, length: int) -> None:
    """A slice of a fixed-size list starts where it says, also in a chunked column."""
    stored = vector_array("feature", values, str(values.dtype), np.arange(len(values)))
    expected = values[start : start + length]
    start = min(start, len(values))
    for column in (stored.slice(start, length), pa.chunked_array([stored]).slice(start, length)):
        np.testing.assert_array_equal(to_numpy(column), expected)
    halves = pa.chunked_array([stored.slice(0, start), stored.slice(start)])
    np.testing.assert_array_equal(to_numpy(halves), values)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_names_its_sample(bad: float) -> None:
    """The sample is named by its own number, not by its row."""
    values = np.zeros((3, 2))
    values[1, 1] = bad
    with pytest.raises(NumericalError, match="The feature of sample 41 is NaN or infinite"):
        vector_array("feature", values, "float32", np.array([40, 41, 42]))


def test_an_overflow_names_the_sample_and_the_way_out() -> None:
    """What float16 cannot hold never becomes infinity; float32 is recommended only where it helps."""
    values, samples = np.array([[1.0], [70000.0]], np.float32), np.array([7, 8])
    said = "logits of sample 8 is too large for float16: extract with --dtype float32"
    with pytest.raises(NumericalError, match=said):
        vector_array("logits", values, "float16", samples)
    assert vector_array("logits", values, "float32", samples).flatten().to_pylist() == [1.0, 70000.0]
    with pytest.raises(NumericalError, match="too large for float32") as error:
        vector_array("logits", np.array([[1.0], [1e300]]), "float32", samples)
    assert "--dtype" not in str(error.value)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_vector_columns_are_stored_plain(dtype: str) -> None:
    """No dictionary, no statistics, no byte-stream-split on vectors; the other columns have statistics and zstd."""
    metadata = pq.read_metadata(pa.BufferReader(encode(random_activations(50, dtype=dtype))))
    columns = {metadata.row_group(0).column(i).path_in_schema.split(".")[0]: i for i in range(metadata.num_columns)}
    for name, index in columns.items():
        column = metadata.row_group(0).column(index)
        is_vector = name in {"feature", "logits"}
        assert column.is_stats_set != is_vector, name
        assert column.compression == ("UNCOMPRESSED" if is_vector else "ZSTD"), name
        assert "BYTE_STREAM_SPLIT" not in column.encodings
        assert not is_vector or "RLE_DICTIONARY" not in column.encodings


def test_lists_are_compressed_as_other_columns_are() -> None:
    """zstd and statistics; a dictionary of texts, which repeat, and none of numbers with a fraction."""
    rows = {"names": [["vit-b", "vit-l"], None, []] * 50, "values": [[0.5, 1.25], [2.0], []] * 50}
    group = pq.read_metadata(pa.BufferReader(encode(pa.table(rows)))).row_group(0)
    for index, dictionary in enumerate((True, False)):
        column = group.column(index)
        assert (column.compression, column.is_stats_set, column.has_dictionary_page) == ("ZSTD", True, dictionary)
    assert read_back(pa.table(rows)).to_pydict() == rows


def test_lists_take_no_more_than_the_precision_they_came_from(tmp_path: Path) -> None:
    """Doubles are split by byte, which DuckDB and polars read as well."""
    values = np.random.default_rng(0).normal(size=(200, 768)).astype(np.float16)
    table = pa.table({"values": pa.array(list(values.astype(np.float64)))})
    file = tmp_path / "x.parquet"
    file.write_bytes(encode(table))
    assert file.stat().st_size < values.nbytes
    assert pq.read_table(file).equals(table)
    assert pl.read_parquet(file)["values"].to_list() == table["values"].to_pylist()
    with duckdb.connect() as connection:
        found = connection.execute("select values from read_parquet(?)", [str(file)]).fetchall()
    assert [row[0] for row in found] == table["values"].to_pylist()


def test_row_groups_are_bounded() -> None:
    """A reader needs the memory of one row group, whatever the fragment's size."""
    metadata = pq.read_metadata(pa.BufferReader(encode(random_activations(ROW_GROUP_ROWS + 5))))
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [ROW_GROUP_ROWS, 5]
    narrow = pq.read_metadata(pa.BufferReader(encode(pa.table({"sample": range((1 << 16) + 1)}))))
    assert [narrow.row_group(i).num_rows for i in range(narrow.num_row_groups)] == [1 << 16, 1]


def test_no_vector_may_lack_a_value() -> None:
    """The type says so: its values are required, as the format has it."""
    assert not vector_array("feature", np.ones((2, 3)), "float16", np.arange(2)).type.value_field.nullable


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_duckdb_and_polars_read_the_same_values(tmp_path: Path, dtype: str) -> None:
    table = random_activations(20, dtype=dtype)
    file = tmp_path / "x.parquet"
    file.write_bytes(encode(table))
    expected = to_numpy(table["feature"])
    with duckdb.connect() as connection:
        from_duckdb = connection.execute("select feature, label from read_parquet(?)", [str(file)]).fetchall()
    from_polars = pl.read_parquet(file)
    np.testing.assert_array_equal(np.array([row[0] for row in from_duckdb]), expected.astype(np.float64))
    np.testing.assert_array_equal(from_polars["feature"].to_numpy(), expected)
    assert [row[1] for row in from_duckdb] == from_polars["label"].to_list() == table["label"].to_pylist()


def test_a_missing_label_is_minus_one() -> None:
    """A null integer reads as -1, and the column stays an integer."""
    column = pa.chunked_array([[3, None], [None]], type=pa.int64())
    assert to_numpy(column).tolist() == [3, -1, -1]
    assert to_numpy(column).dtype == np.int64


def test_texts_and_numbers_read_as_they_are() -> None:
    assert to_numpy(pa.array(["a", None])).tolist() == ["a", None]
    np.testing.assert_array_equal(to_numpy(pa.array([1.5, None])), [1.5, np.nan])


def test_numbers_are_read_without_pandas(tmp_path: Path) -> None:
    """Arrow would import it where it is installed, for a quarter of a second: vectors, scores and labels, and rows dealt out."""
    table = pa.table({"feature": vector_array("feature", np.ones((3, 2)), "float16", np.arange(3)), "label": [1, 2, 3]})
    pq.write_table(table.append_column("rows", dealt_out(np.ones((3, 2)), 3)), tmp_path / "f.parquet")
    (tmp_path / "pandas.py").write_text("print('asked for'); raise ImportError")
    code = (
        "import pyarrow.parquet as pq; from featurestore.partitions.encoding import dealt_back, to_numpy;"
        f"table = pq.ParquetFile({str(tmp_path / 'f.parquet')!r}).read();"
        "print(to_numpy(table['feature']).sum(), to_numpy(table['label']).sum(), dealt_back(table['rows'], 2).sum())"
    )
    assert python("-c", code, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}").stdout == "6.0 6 6.0\n"


@pytest.mark.parametrize("count", [1, 3, 4, 11])
def test_rows_that_are_dealt_out_come_back_in_order(tmp_path: Path, count: int) -> None:
    """To fewer rows than there are, as many, or more; through a file; and where there are none, none come back."""
    matrix = np.random.default_rng(count).normal(size=(count, 3))
    (tmp_path / "f.parquet").write_bytes(encode(pa.table({"rows": dealt_out(matrix, 4), "none": dealt_out(None, 4)})))
    table = pq.read_table(tmp_path / "f.parquet")
    np.testing.assert_array_equal(dealt_back(table.column("rows"), 3), matrix)
    assert dealt_back(table.column("none"), 3) is None
