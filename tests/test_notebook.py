"""The notebook of the docs, cell by cell, on a lake that is not the demo's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import altair as alt
import polars as pl

from tests import notebook

if TYPE_CHECKING:
    from tests.pipeline import Commands


def test_every_cell_runs_and_the_last_two_are_a_figure_and_a_table(commands: Commands) -> None:
    cells = notebook.code_cells(json.loads(notebook.NOTEBOOK.read_text(encoding="utf-8")))
    sources = ["".join(cell["source"]).replace("near-ood", "far") for cell in cells]
    with alt.renderers.enable("default"):
        lake = str(commands.location)
        done = list(
            notebook.run(
                [source.replace("demo/lake", lake) for source in sources], lambda words: commands.ok(*words[1:])
            )
        )
    (chart,) = (value for _, value in done if isinstance(value, alt.Chart))
    assert {row["model"] for row in chart.to_dict()["datasets"].popitem()[1]} == {"a", "b"}
    hardest = next(value for _, value in reversed(done) if isinstance(value, pl.DataFrame))
    assert hardest.columns == ["class_name", "path", "id_rank"]
    assert len(hardest) == 3
    table = done[-1][0]
    assert table.startswith("\\begin{tabular}")
    assert table.count("mahalanobis") == 1
