"""Rows as they are printed without polars, against what polars writes and draws of them."""

import random
import struct

import duckdb
import polars as pl
import pytest

from featurestore.cli.rows import Rows
from featurestore.cli.text_table import text_table
from featurestore.query import fetch, fetch_plain

QUERY = """
from (values
    (1, 'a,b', 0.1::double, true, 170141183460469231731687303715884105727::hugeint), (null, '', 'nan'::double, null, 0),
    (-3, 'q"u', 1e-5, false, -1), (4, e'l\\nn', -1e-7, true, null), (5, null, null, true, 2), (6, ' cr' || chr(13), 'inf'::double, true, 3)
) as t("n,1", text, "of""q", truth, large)
"""


def test_the_csv_of_plain_values_is_that_of_polars() -> None:
    relation = duckdb.sql(QUERY)
    plain = fetch_plain(relation)
    assert plain is not None
    frame = fetch(relation).cast({"large": pl.Int128})
    assert Rows(*plain).csv() == frame.write_csv()
    assert Rows(*plain).numeric == Rows.of(frame).numeric
    assert Rows(*plain).dicts()[0] == frame.row(0, named=True)


@pytest.mark.once  # the lowest polars writes 1e167 as 1e+167
def test_numbers_are_written_as_polars_writes_them() -> None:
    """All bits at random, so powers of all sizes."""
    generator = random.Random(0)
    values = [struct.unpack("d", generator.randbytes(8))[0] for _ in range(3000)]
    values += [sign * 10.0**power for power in range(-12, 25) for sign in (1, -1)]
    values += [generator.random() * 10.0 ** generator.randint(-7, 18) for _ in range(3000)]
    assert Rows(["v"], [True], [[value] for value in values]).csv() == pl.DataFrame({"v": values}).write_csv()


@pytest.mark.parametrize(
    "query", [QUERY, "select 1 as n limit 0", "select '猫' as cat, e'two\\nlines' as \"a heading\""]
)
def test_a_table_is_drawn_as_polars_draws_it(query: str) -> None:
    frame = fetch(duckdb.sql(query))
    cells = {(name or " "): [str(value) for value in frame[name]] for name in frame.columns}
    answer = Rows(list(cells), [False] * len(cells), list(zip(*cells.values(), strict=True)))
    with pl.Config(
        tbl_rows=-1, tbl_cols=-1, tbl_width_chars=-1, fmt_str_lengths=100, tbl_formatting="UTF8_FULL_CONDENSED",
        tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True,
    ):  # fmt: skip
        drawn = str(pl.DataFrame({name: [cell.replace("\r", "\\r") for cell in of] for name, of in cells.items()}))
    assert text_table(answer).rpartition("\n")[0].rpartition("\n")[0] == drawn


@pytest.mark.parametrize("query", ["from range(20001)", "select [1] as l", "select date '2024-01-01' as d"])
def test_what_is_large_or_no_plain_value_is_left_to_polars(query: str) -> None:
    assert fetch_plain(duckdb.sql(query)) is None
