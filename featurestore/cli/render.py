"""Answers as text or bytes: table, csv, json, markdown, latex, parquet."""

from __future__ import annotations

import io
import json
import re
import sys
from typing import TYPE_CHECKING, Any

from featurestore.cli.options import FORMATS
from featurestore.cli.output import AS_JSON, answer, jsonable, tell_rows, wants_rows
from featurestore.cli.rows import Rows
from featurestore.cli.text_table import cell_text, output_encoding, printable, spelled_out, text_table
from featurestore.errors import InputError
from featurestore.names import pick
from featurestore.shown_text import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import duckdb
    import polars as pl

_FORMULA = r"^[=+\-@\t\r]"
# The brackets and the star mean something to the line break before them.
_LATEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}"}
    | {">": r"\textgreater{}", "|": r"\textbar{}", "[": "{[}", "]": "{]}", "*": "{*}"}
)


def show(relation: duckdb.DuckDBPyRelation, format_: str) -> None:
    """Print an answer to standard output.

    Args:
        relation: The answer.
        format_: One of `FORMATS`.

    Raises:
        MissingError: No format has that name.
        InputError: Parquet would go to a terminal, CSV has characters that the output cannot hold, or DuckDB fails at a row.
        StorageError: DuckDB cannot read the lake.
    """
    check_format(format_)
    show_frame(fetched(relation, format_), format_)


def fetched(relation: duckdb.DuckDBPyRelation, format_: str, what: str = "the query") -> Rows | pl.DataFrame:
    """The rows of an answer to print in a format, as `fetch` has them: without polars, if they are few and plain, or it is not installed.

    Args:
        relation: The answer.
        format_: The format.
        what: What it is, for messages.
    """
    from featurestore.query import fetch, fetch_plain, fetch_values

    if is_typed(format_):
        return fetch(relation, what, typed=True)
    plain = fetch_plain(relation, what)
    if plain is not None:
        return Rows(*plain)
    if _has_polars():
        return fetch(relation, what)
    names, numeric, values = fetch_values(relation, what)
    if format_ in _CSV:
        values = [
            tuple(_as_json(one) if isinstance(one, list | tuple | dict) else one for one in row) for row in values
        ]
    return Rows(names, numeric, values)


def _has_polars() -> bool:
    """Whether polars is installed, which who only reads lakes does without."""
    try:
        import polars as pl
    except ModuleNotFoundError:
        return False
    return bool(pl)


def show_first(relation: duckdb.DuckDBPyRelation, format_: str, most: int) -> bool:
    """Print the first rows of an answer, and say whether there are more."""
    rows = fetched(relation.limit(most + 1), format_)
    if isinstance(rows, Rows):
        show_frame(rows._replace(values=rows.values[:most]), format_)
        return len(rows.values) > most
    show_frame(rows.head(most), format_)
    return rows.height > most


def check_format(format_: str) -> None:
    """Raise if no format has that name, or rows are wanted in another way too, before anything is computed.

    Raises:
        MissingError: None has.
        InputError: The rows are to stand in the object of --json.
    """
    pick("format", format_, FORMATS)
    if wants_rows() and format_ != FORMATS[0]:
        raise InputError(f"{AS_JSON} puts the rows into its object: leave out --format, or {AS_JSON}.")


def is_typed(format_: str) -> bool:
    """Whether a format has types of its own for dates and bytes, rather than texts."""
    return format_ == "parquet"


def show_frame(frame: Rows | pl.DataFrame, format_: str) -> None:
    """Print rows to standard output, as `show` does."""
    check_format(format_)
    if is_typed(format_) and not isinstance(frame, Rows):
        _write_parquet(frame)
        return
    if not isinstance(frame, Rows):
        frame = _flat(_exact(frame)) if format_ in _CSV else Rows.of(_exact(frame))
    if wants_rows() and isinstance(frame, Rows):
        tell_rows(frame.dicts())
    else:
        answer(_FORMATS[format_](frame))


def _exact(frame: pl.DataFrame) -> pl.DataFrame:
    """With decimals that have no fraction, as sums are, as integers: Python's decimals would be rounded to 37 digits."""
    import polars as pl

    def whole(dtype: Any) -> Any:
        if isinstance(dtype, pl.Decimal) and dtype.scale == 0:
            return pl.Int128()
        if isinstance(dtype, pl.List):
            return pl.List(whole(dtype.inner))
        return dtype

    exact = {name: whole(dtype) for name, dtype in frame.schema.items()}
    return frame.cast({name: dtype for name, dtype in exact.items() if dtype != frame.schema[name]})


def _write_parquet(frame: pl.DataFrame) -> None:
    if sys.stdout.isatty():
        raise InputError("Parquet is not for a terminal: send it to a file, `… --format parquet > answer.parquet`.")
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    sys.stdout.buffer.write(buffer.getvalue())


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """With lists and structs as JSON."""
    import polars as pl

    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
    return frame.with_columns(
        pl.Series(name, [None if value is None else _as_json(value) for value in frame[name].to_list()], pl.String)
        for name in nested
    )


def _csv(answer: Rows | pl.DataFrame) -> str:
    text = answer.csv() if isinstance(answer, Rows) else answer.write_csv()
    if spelled_out(text) != text:
        unwritable = next(character for character in text if spelled_out(character) != character)
        raise InputError(
            f"Standard output is {output_encoding()}, which has no {unwritable!a}: set PYTHONIOENCODING=utf-8, or take --format json."
        )
    return plain(text) if sys.stdout.isatty() else text


def _spreadsheet(answer: Rows | pl.DataFrame) -> str:
    """CSV in which no text is a formula: before one that a spreadsheet would compute stands an apostrophe."""
    if isinstance(answer, Rows):
        return _csv(answer._replace(names=_harmless(answer.names), values=list(map(_harmless, answer.values))))
    import polars as pl

    safe = answer.with_columns(pl.col(pl.String).str.replace(_FORMULA, "'${0}"))
    return _csv(safe.rename(dict(zip(answer.columns, _harmless(answer.columns), strict=True))))


def _harmless(values: Sequence[Any]) -> list[Any]:
    """Values of which no text is a formula."""
    return [f"'{value}" if isinstance(value, str) and re.match(_FORMULA, value) else value for value in values]


def _json(answer: Rows) -> str:
    rows = jsonable(answer.dicts())
    text = json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False)
    text = text if spelled_out(text) == text else json.dumps(rows, indent=1)
    return f"{text if text.isprintable() else ''.join(map(_in_json, text))}\n"


def _in_json(character: str) -> str:
    """A character of a JSON document, in which those that cannot be seen stand by their numbers."""
    if character.isprintable() or character == "\n":
        return character
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


def _as_json(value: Any) -> str:
    return json.dumps(jsonable(value), ensure_ascii=False, allow_nan=False)


def _markdown(answer: Rows) -> str:
    lines = [[_cell(name) for name in answer.names], ["---:" if number else "---" for number in answer.numeric]]
    lines += [[_cell(cell_text(value)) for value in row] for row in answer.values]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cell(text: str) -> str:
    """A text that Markdown shows as it is: no markup, no HTML, no link."""
    return re.sub(r"([\\|<>&`*]|(?<=\])\()", r"\\\1", printable(text.replace("\r", " ").replace("\n", " ")))


def _latex(answer: Rows) -> str:
    """A tabular with the rules of the package booktabs, numbers to the right."""
    numeric = answer.numeric

    def line(cells: Iterable[str]) -> str:
        return f"{' & '.join(cells)} \\\\"

    lines = [
        f"\\begin{{tabular}}{{{''.join('r' if is_number else 'l' for is_number in numeric)}}}",
        "\\toprule",
        line(map(_in_latex, answer.names)),
        "\\midrule",
        *(
            line(
                _number_in_latex(value) if n else _in_latex(cell_text(value))
                for value, n in zip(row, numeric, strict=True)
            )
            for row in answer.values
        ),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "".join(f"{line}\n" for line in lines)


def _in_latex(text: str) -> str:
    """A text that LaTeX prints as it is, on one line."""
    return printable(text.replace("\r", " ").replace("\n", " ")).translate(_LATEX)


def _number_in_latex(value: Any) -> str:
    r"""A number with its minus sign, and its power of ten.

    >>> _number_in_latex(-1e-9), _number_in_latex(0.25), _number_in_latex(None)
    ('$-1 \\times 10^{-9}$', '0.25', '')
    """
    number, e, power = cell_text(value).partition("e")
    times = f" \\times 10^{{{int(power)}}}" if e else ""
    return f"${number}{times}$" if times or number.startswith("-") else number


_CSV = frozenset({"csv", "spreadsheet"})
_FORMATS: Mapping[str, Callable[[Any], str]] = {
    "table": text_table,
    "csv": _csv,
    "spreadsheet": _spreadsheet,
    "json": _json,
    "markdown": _markdown,
    "latex": _latex,
}
