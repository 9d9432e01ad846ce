"""The short way to the vectors gives what pyarrow gives, or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.fragments.vector_pages import is_plain, read_chunk
from featurestore.partitions.encoding import encode, to_numpy, vector_array

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _fragment(rows: int, width: int, dtype: str, seed: int = 0) -> pa.Buffer:
    values = np.random.default_rng(seed).normal(size=(rows, width))
    column = vector_array("feature", values, dtype, np.arange(rows))
    return encode(pa.table([column], pa.schema([pa.field("feature", column.type, nullable=False)])))


def _short_way(data: Any, width: int) -> NDArray[Any]:
    source = pa.BufferReader(data)
    metadata = pq.read_metadata(pa.BufferReader(data))
    groups = [metadata.row_group(index).column(0) for index in range(metadata.num_row_groups)]
    assert all(map(is_plain, groups))
    return np.concatenate([read_chunk(source, group, width) for group in groups])


@given(st.integers(1, 5000), st.integers(1, 700), st.sampled_from(["float16", "float32"]))
def test_values_are_pyarrow_s_bit_for_bit(rows: int, width: int, dtype: str) -> None:
    """One page or many, one row group or many."""
    rows = min(rows, 600_000 // width)
    data = _fragment(max(rows, 1), width, dtype)
    expected = to_numpy(pq.read_table(pa.BufferReader(data)).column("feature"))
    own = _short_way(data, width)
    assert own.dtype == expected.dtype == dtype
    np.testing.assert_array_equal(own, expected)


def test_a_flipped_bit_is_an_error_or_changes_nothing() -> None:
    """Anywhere in the pages: their headers, their levels, their values."""
    data = bytes(_fragment(40, 8, "float16"))
    expected = _short_way(data, 8)
    chunk = pq.read_metadata(pa.BufferReader(data)).row_group(0).column(0)
    end = chunk.data_page_offset + chunk.total_compressed_size
    noticed = 0
    for position in range(chunk.data_page_offset, end):
        for bit in range(8):
            broken = bytearray(data)
            broken[position] ^= 1 << bit
            try:
                own = _short_way(bytes(broken), 8)
            except (ValueError, LookupError):
                noticed += 1
            else:
                np.testing.assert_array_equal(own, expected)
    assert noticed > 0.9 * 8 * (end - chunk.data_page_offset)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zstd"},
        {"use_dictionary": True},
        {"compression": "none", "column_encoding": "BYTE_STREAM_SPLIT"},
    ],
)
def test_other_encodings_are_left_to_pyarrow(options: dict[str, Any]) -> None:
    """A chunk that some other tool wrote is not taken for a plain one."""
    column = vector_array("feature", np.ones((50, 4)), "float32", np.arange(50))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"feature": column}), sink, **{"use_dictionary": False, **options})
    chunk = pq.read_metadata(pa.BufferReader(sink.getvalue())).row_group(0).column(0)
    assert not is_plain(chunk)


def test_a_page_without_a_checksum_is_not_trusted() -> None:
    """Pages that this package wrote have one."""
    column = vector_array("feature", np.ones((50, 4)), "float32", np.arange(50))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"feature": column}), sink, compression="none", use_dictionary=False)
    chunk = pq.read_metadata(pa.BufferReader(sink.getvalue())).row_group(0).column(0)
    with pytest.raises(ValueError, match="checksum"):
        read_chunk(pa.BufferReader(sink.getvalue()), chunk, 4)
