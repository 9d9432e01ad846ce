"""What `layout.tables` says of a table's rows, held against rows: each check looks at a block and says what is wrong, or None."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from featurestore.partitions.encoding import to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from featurestore.layout.tables import Domain, Table

    Check: TypeAlias = Callable[[pa.RecordBatch], str | None]


def checks(table: Table, *, in_order: bool = False) -> list[Check]:
    """The checks of a part's blocks, those of columns that lack passed over; whether rows lie as writers of this package put them, too."""
    key = table.row_key or ()
    keyed = [numbered(*key, in_order=in_order) if len(key) == 1 else unique(key, table.added)] if key else []
    return [lambda rows: _of_columns(table, rows), *keyed]


def problem(table: Table, rows: pa.Table) -> str:
    """What is wrong with the rows of a whole part, or an empty text."""
    if number := table.rows_problem(len(rows)):
        return f"it {number}"
    left = checks(table)
    return next((said for block in rows.to_batches() for check in left if (said := check(block))), "")


def numbered(name: str, *, in_order: bool = False) -> Check:
    """Numbers are unique, from block to block too, and none is negative; in order, they ascend."""
    seen: list[NDArray[np.int64]] = []
    last = -1

    def check(rows: pa.RecordBatch) -> str | None:
        nonlocal last
        if name not in rows.schema.names or not len(rows):
            return None
        numbers = to_numpy(rows.column(name))
        if (least := int(numbers.min())) < 0:
            return f"{name} {least} is none"
        before = np.concatenate([[last], numbers[:-1]])
        if (back := np.flatnonzero(numbers <= before)).size:
            number, previous = int(numbers[back[0]]), int(before[back[0]])
            if in_order and number < previous:
                return f"{name} {number} comes after {previous}"
            found, counts = np.unique(np.concatenate([*seen, numbers]), return_counts=True)
            if (counts > 1).any():
                return f"{name} {found[counts > 1][0]} is there twice"
        seen.append(numbers)
        last = max(last, int(numbers.max()))
        return None

    return check


def unique(names: tuple[str, ...], added: tuple[str, ...] = ()) -> Check:
    """No two rows of a part agree in these columns, of which those that were added later may lack; else nothing is known."""
    seen: set[tuple[Any, ...]] = set()

    def check(rows: pa.RecordBatch) -> str | None:
        held = [name for name in names if name in rows.schema.names]
        if not {*held, *added}.issuperset(names):
            return None
        for key in zip(*(rows.column(name).to_pylist() for name in held), strict=True):
            if key in seen:
                return f"the row of {', '.join(map(str, filter(None, key)))} is there twice"
            seen.add(key)
        return None

    return check


def beyond(samples: NDArray[np.int64], count: int) -> str:
    """Which of some samples is none of the dataset's, or an empty text."""
    largest = samples.max(initial=-1)
    return f"sample {largest} is none of the {count:,} of the dataset" if largest >= count else ""


def row_name(rows: pa.RecordBatch, index: int) -> str:
    """How messages call a row."""
    return f"sample {rows.column('sample')[index].as_py()}" if "sample" in rows.schema.names else f"row {index}"


def _of_columns(table: Table, rows: pa.RecordBatch) -> str | None:
    for name in rows.schema.names:
        if name in table.domains:
            column = rows.column(name)
            found = _missing(column) if name in table.required else None
            found = found or _not_finite(column) or _outside(table.domains[name], column)
            if found:
                return f"the {name} of {row_name(rows, found[0])} is {found[1]}"
    return None


def _missing(column: pa.Array) -> tuple[int, str] | None:
    if not column.null_count:
        return None
    return int(np.argmax(column.is_null().to_numpy(zero_copy_only=False))), "missing"


def _not_finite(column: pa.Array) -> tuple[int, str] | None:
    """The first row whose number, or one of whose numbers, is not finite; scalars and lists may be missing whole."""
    if pa.types.is_fixed_size_list(column.type):
        if column.null_count or column.flatten().null_count:
            return int(np.argmax(column.is_null().to_numpy(zero_copy_only=False))), "missing"
        bad = ~np.isfinite(to_numpy(column)).all(axis=1)
    elif pa.types.is_list(column.type) and pa.types.is_floating(column.type.value_type):
        values = column.flatten()
        if not len(values) or np.isfinite(to_numpy(values)).all():
            return None
        rows = np.repeat(np.arange(len(column)), column.value_lengths().fill_null(0).to_numpy())
        bad = np.bincount(rows, ~np.isfinite(values.to_numpy(zero_copy_only=False)), len(column)) > 0
    elif pa.types.is_floating(column.type):
        if np.isfinite(to_numpy(column)).all():
            return None
        known = column.is_valid().to_numpy(zero_copy_only=False)
        bad = known & ~np.isfinite(column.to_numpy(zero_copy_only=False))
    else:
        return None
    return (int(np.argmax(bad)), "NaN or infinite") if bad.any() else None


def _outside(domain: Domain, column: pa.Array) -> tuple[int, str] | None:
    """The first row whose value is none that its column may have; nothing is known of one that is missing."""
    if domain.least is not None or domain.most is not None:
        return _beyond(domain, column.to_numpy(zero_copy_only=False) if column.null_count else to_numpy(column))
    if domain.among or domain.is_json:
        return next(
            (
                (
                    index,
                    f"{text!r:.40}, which is {'no JSON object' if domain.is_json else 'none of ' + ', '.join(domain.among)}",
                )
                for index, text in enumerate(column.to_pylist())
                if text is not None and not (_is_object(text) if domain.is_json else text in domain.among)
            ),
            None,
        )
    return None


def _beyond(domain: Domain, values: NDArray[Any]) -> tuple[int, str] | None:
    """The first of some numbers, of which a missing one is NaN, that is beyond its bounds."""
    bad = np.zeros(len(values), bool)
    if domain.least is not None:
        bad |= values < domain.least
    if domain.most is not None:
        bad |= values > domain.most
    index = int(np.argmax(bad)) if bad.any() else -1
    return None if index < 0 else (index, f"{values[index]:.10g}")


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
