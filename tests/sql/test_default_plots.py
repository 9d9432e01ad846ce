from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from analysis.charts.answer_plot import chart
from featurestore.query import answer, catalog

if TYPE_CHECKING:
    from featurestore import Lake

DRAWN = {name: question for name, question in catalog.questions().items() if question.plot}


@pytest.mark.parametrize("name", DRAWN)
def test_each_default_plot_can_be_drawn(lakes: dict[str, Lake], name: str) -> None:
    """A real answer makes a chart of all its rows; names are names and numbers are numbers on every channel."""
    question = DRAWN[name]
    assert question.plot is not None
    storage = None if answer.needs_no_lake(question) else lakes["whole"].storage
    frame = answer.answer_to(storage, question, {}).relation.pl()
    assert not frame.is_empty()
    found = chart(frame, question).to_dict()
    (rows,) = found["datasets"].values()
    assert len(rows) == frame.height
    encoding = found.get("spec", found)["encoding"]
    for channel, column in question.plot.channels.items():
        expected = "quantitative" if frame.schema[column].is_numeric() and channel != "shape" else "nominal"
        assert encoding[channel]["type"] == expected
        assert not isinstance(frame.schema[column], pl.List)
