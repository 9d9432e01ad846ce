"""How fragments are encoded: the one place that decides on encodings, compression and row groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pyarrow as pa

from featurestore.errors import NumericalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROW_GROUP_ROWS = 2048
NARROW_ROW_GROUP_ROWS = 1 << 16
_ROOM = 1 << 18
_CHECKED_ROWS = 1024


def encode(table: pa.Table) -> pa.Buffer:
    """Encode one fragment as Parquet bytes.

    Vectors get no dictionary and no statistics, and are not compressed: their mantissas are noise, and a scan is then
    a copy. The other columns are small and compress well; numbers with a fraction hardly repeat, and a dictionary of them
    makes files larger and scans slow. Lists of doubles, of which statistics are, are split by byte first: what came from
    float16 or float32 then takes no more than it did there. Without vectors a row is some bytes, and a scan is fastest over large row groups.
    """
    import pyarrow.parquet as pq  # slow to import, and questions are answered without it

    vectors = any(pa.types.is_fixed_size_list(field.type) for field in table.schema)
    plain = dict(_leaf(field) for field in table.schema if not pa.types.is_fixed_size_list(field.type))
    split = [path for path, type_ in plain.items() if path.endswith(".list.element") and pa.types.is_float64(type_)]
    options = {
        "row_group_size": ROW_GROUP_ROWS if vectors else NARROW_ROW_GROUP_ROWS,
        "compression": dict.fromkeys(plain, "zstd"),
        "use_dictionary": [path for path, type_ in plain.items() if not pa.types.is_floating(type_)],
        "column_encoding": dict.fromkeys(split, "BYTE_STREAM_SPLIT"),
        "write_statistics": list(plain),
        "write_page_checksum": True,
    }
    try:
        # Memory for just one copy, given back when it is freed: a sink that grows by doubling takes two or three, and
        # the default pool keeps what each thread has freed.
        capacity = table.nbytes + table.nbytes // 16 + _ROOM
        buffer = pa.allocate_buffer(capacity, memory_pool=pa.system_memory_pool())
        fixed = pa.FixedSizeBufferWriter(buffer)
        pq.write_table(table, fixed, **options)
        return buffer.slice(0, fixed.tell())
    except (pa.ArrowInvalid, OSError):
        growing = pa.BufferOutputStream()
        pq.write_table(table, growing, **options)
        return growing.getvalue()


def _leaf(field: pa.Field) -> tuple[str, pa.DataType]:
    """What Parquet calls a column's values, and their type: those of a list stand two levels below it."""
    if pa.types.is_list(field.type):
        return f"{field.name}.list.element", field.type.value_type
    return field.name, field.type


def as_stored(name: str, values: NDArray[Any], dtype: str, samples: NDArray[np.int64]) -> NDArray[Any]:
    """Round a matrix to its stored precision, and vouch that every value survived.

    Args:
        name: The column's name, for messages.
        values: Float array, shape [n, width].
        dtype: Stored precision, `float16` or `float32`.
        samples: The rows' sample numbers, for messages, shape [n].

    Returns:
        Array of that precision, shape [n, width], contiguous.

    Raises:
        NumericalError: A value is NaN or infinite, or too large for the stored precision.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        stored = np.ascontiguousarray(values, dtype=dtype)
    if not all(_finite(stored[start : start + _CHECKED_ROWS]) for start in range(0, len(stored), _CHECKED_ROWS)):
        _raise_not_finite(name, values, stored, samples)
    return stored


def vector_array(name: str, values: NDArray[Any], dtype: str, samples: NDArray[np.int64]) -> pa.FixedSizeListArray:
    """Store a matrix as one vector per row; arguments and errors are those of `as_stored`."""
    stored = as_stored(name, values, dtype, samples)
    element = pa.field("element", pa.from_numpy_dtype(stored.dtype), nullable=False)
    return pa.FixedSizeListArray.from_arrays(pa.array(stored.ravel()), type=pa.list_(element, values.shape[1]))


def to_numpy(column: pa.ChunkedArray | pa.Array) -> NDArray[Any]:
    """Read a column as numpy: a vector column as a matrix [n, width], without copying where one chunk allows it.

    Missing integers become -1.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_fixed_size_list(array.type):
        return _values(array.flatten()).reshape(len(array), array.type.list_size)
    if array.null_count and pa.types.is_integer(array.type):
        array = array.fill_null(-1)
    return _values(array)


def _values(array: pa.Array) -> NDArray[Any]:
    """An array as numpy: numbers as they lie in memory, since Arrow's own way imports pandas where that is installed."""
    if array.null_count or not len(array) or not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        return array.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    return np.from_dlpack(array)


def dealt_out(matrix: NDArray[Any] | None, rows: int) -> pa.ListArray:
    """Deal the rows of a matrix out to the rows of a table, as nearly as many to each, in order.

    Args:
        matrix: Any float dtype, shape [m, width]; None gives nulls.
        rows: Of the table, 1 or more.

    Returns:
        Lists of double, each of the rows dealt to it, one after the other.
    """
    parts = [None] * rows if matrix is None else [part.ravel() for part in np.array_split(matrix, rows)]
    return pa.array(parts, pa.list_(pa.float64()))


def dealt_back(column: pa.ChunkedArray, width: int) -> NDArray[np.float64] | None:
    """The matrix of so many columns whose rows were dealt out, float64, shape [m, width]; None where all are null."""
    array = column.combine_chunks()
    return None if array.null_count == len(array) else _values(array.flatten()).reshape(-1, width)


def _finite(values: NDArray[Any]) -> bool:
    if values.dtype == np.float16:
        # All exponent bits set: infinity or NaN. As integers, since arithmetic on float16 is slow on CPUs.
        return bool(((values.view(np.uint16) & 0x7C00) != 0x7C00).all())
    return bool(np.isfinite(values).all())


def _raise_not_finite(name: str, values: NDArray[Any], stored: NDArray[Any], samples: NDArray[np.int64]) -> NoReturn:
    if not np.isfinite(values).all():
        raise NumericalError(
            f"The {name} of sample {_first_bad(values, samples)} is NaN or infinite: nothing was stored."
        )
    hint = ": extract with --dtype float32" if stored.dtype == np.float16 else ": nothing was stored"
    raise NumericalError(f"The {name} of sample {_first_bad(stored, samples)} is too large for {stored.dtype}{hint}.")


def _first_bad(values: NDArray[Any], samples: NDArray[np.int64]) -> int:
    return int(samples[np.flatnonzero(~np.isfinite(values).all(axis=1))[0]])
