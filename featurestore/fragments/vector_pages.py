"""A short way to the vectors: the pages of a plain, uncompressed column chunk, each checked and copied once.

Parquet readers take a fixed-size list apart into levels and values, and put it together again; in the chunks that
`parquet.encode` writes, the values lie in one piece per page. Layout: the Parquet format's `PageHeader`, in Thrift's
compact protocol, then repetition levels, definition levels, values.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from numpy.typing import NDArray

_DTYPES: dict[str, np.dtype[Any]] = {"FIXED_LEN_BYTE_ARRAY": np.dtype("<f2"), "FLOAT": np.dtype("<f4")}
_DATA_PAGE, _PLAIN = 0, 0
# Fields of PageHeader, and of the DataPageHeader in it.
_TYPE, _SIZE, _CRC, _DATA_PAGE_HEADER = 1, 3, 4, 5
_NUM_VALUES, _ENCODING = 1, 2
_STOP, _TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _BINARY, _STRUCT = 0, 1, 2, 3, 4, 5, 6, 8, 12


def is_plain(chunk: pq.ColumnChunkMetaData) -> bool:
    """Whether a column chunk can be read by `read_chunk`."""
    return (
        chunk.physical_type in _DTYPES
        and chunk.compression == "UNCOMPRESSED"
        and not chunk.has_dictionary_page
        and set(chunk.encodings) <= {"PLAIN", "RLE"}
    )


def read_chunk(file: pa.NativeFile, chunk: pq.ColumnChunkMetaData, width: int) -> NDArray[Any]:
    """Read a column chunk of vectors.

    Args:
        file: The fragment.
        chunk: Where the chunk lies in it.
        width: Length of the vectors.

    Returns:
        Array of the stored precision, shape [rows, width].

    Raises:
        ValueError: The pages are not what the footer says, or fail their checksums.
    """
    data = memoryview(file.read_at(chunk.total_compressed_size, chunk.data_page_offset))
    count: int = chunk.num_values
    values: NDArray[Any] = np.empty(count, _DTYPES[chunk.physical_type])
    done = position = 0
    while done < count:
        page, position = _read_page(data, position, values.dtype)
        values[done : done + len(page)] = page
        done += len(page)
    return values.reshape(-1, width)


def _read_page(data: memoryview, position: int, dtype: np.dtype[Any]) -> tuple[NDArray[Any], int]:
    """The values of the page that begins at a position, and where it ends."""
    try:
        header, start = _read_struct(data, position)
        end = start + header[_SIZE]
        return _values(header, data[start:end], dtype), end
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError) as error:
        raise ValueError("a page header is garbled") from error


def _values(header: dict[int, Any], body: memoryview, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The values of one page, after its checks."""
    inner = header.get(_DATA_PAGE_HEADER)
    if header.get(_TYPE) != _DATA_PAGE or not inner or inner.get(_ENCODING) != _PLAIN or len(body) != header[_SIZE]:
        raise ValueError("a page is not a plain data page")
    if _CRC not in header or zlib.crc32(body) != header[_CRC] % 2**32:
        raise ValueError("a page fails its checksum")
    start = 0
    for _ in ("repetition levels", "definition levels"):
        start += 4 + int.from_bytes(body[start : start + 4], "little")
    if len(body) - start != inner[_NUM_VALUES] * dtype.itemsize:
        raise ValueError("a page has missing values")
    values: NDArray[Any] = np.frombuffer(body, dtype, offset=start)
    return values


def _read_struct(data: memoryview, position: int) -> tuple[dict[int, Any], int]:
    """Read one Thrift struct; returns its fields by number, and where it ends."""
    fields: dict[int, Any] = {}
    number = 0
    while True:
        head, position = data[position], position + 1
        kind, delta = head & 15, head >> 4
        if kind == _STOP:
            return fields, position
        if delta:
            number += delta
        else:
            number, position = _read_integer(data, position)
        fields[number], position = _read_value(data, position, kind)


def _read_value(data: memoryview, position: int, kind: int) -> tuple[Any, int]:
    if kind in {_TRUE, _FALSE}:
        return kind == _TRUE, position
    if kind in {_I16, _I32, _I64}:
        return _read_integer(data, position)
    if kind == _STRUCT:
        return _read_struct(data, position)
    if kind == _BINARY:
        length, position = _read_varint(data, position)
        return bytes(data[position : position + length]), position + length
    if kind == _BYTE:
        return data[position], position + 1
    raise ValueError("a page header has a field of an unexpected type")


def _read_integer(data: memoryview, position: int) -> tuple[int, int]:
    value, position = _read_varint(data, position)
    return (value >> 1) ^ -(value & 1), position


def _read_varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte, position = data[position], position + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
