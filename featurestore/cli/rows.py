"""Rows of an answer as plain values, and as CSV: polars, which takes as long to import as DuckDB to answer, is not needed for them."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

_QUOTED = re.compile(r'[",\n\r]')


class Rows(NamedTuple):
    """An answer's rows.

    Attributes:
        names: The columns' names.
        numeric: Of each column, whether it holds numbers.
        values: The rows.
    """

    names: Sequence[str]
    numeric: Sequence[bool]
    values: Sequence[Sequence[Any]]

    @classmethod
    def of(cls, frame: pl.DataFrame) -> Rows:
        """A frame's rows."""
        return cls(frame.columns, [dtype.is_numeric() for dtype in frame.dtypes], frame.rows())

    def dicts(self) -> list[dict[str, Any]]:
        """Each row by the columns' names."""
        return [dict(zip(self.names, row, strict=True)) for row in self.values]

    def csv(self) -> str:
        """What polars writes of the same rows, if their values are texts, numbers and truths."""
        lines = [",".join(['""' if not name else _quoted(name) for name in self.names])]
        lines += [",".join([_cell(value) for value in row]) for row in self.values]
        return "".join(f"{line}\n" for line in lines)


def _cell(value: str | float | bool | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _quoted(value) if value else '""'
    if isinstance(value, bool):
        return "true" if value else "false"
    return csv_number(value) if isinstance(value, float) else str(value)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def csv_number(value: float) -> str:
    """A number in the fewest digits that say it.

    >>> csv_number(1e-7), csv_number(-1.5e-5), csv_number(1e22), csv_number(0.1), csv_number(float("nan"))
    ('1e-7', '-0.000015', '1e+22', '0.1', 'NaN')
    """
    if math.isnan(value):
        return "NaN"
    mantissa, e, power = repr(value).partition("e-")
    if not e:
        return mantissa
    if int(power) > 5:
        return f"{mantissa}e-{int(power)}"
    sign, digits = mantissa[: mantissa.startswith("-")], mantissa.lstrip("-").replace(".", "")
    return f"{sign}0.0000{digits}"
