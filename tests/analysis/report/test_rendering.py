"""The page's templates: what is text stays text, wherever it stands."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import altair as alt
import polars as pl
import pytest
from markupsafe import escape

from analysis.charts.frame_data import encoded
from analysis.report.rendering import environment
from analysis.report.section_items import Figure, Gallery, Picture, TableView
from featurestore.shown_text import plain
from tests.faults.processes import processes

EVIL = """<script>alert("a")</script> & 'b' <!-- \u2028"""


def drawn(macro: str, item: object) -> str:
    module = environment().get_template("items.html.j2").module
    text: str = getattr(module, macro)(item)
    return text


def test_tables_escape_and_show_what_is_missing() -> None:
    frame = pl.DataFrame(
        {"<i>": ["<b>", None], "x": [-0.12345, None], "rate": [0.03, 0.1], "alike": [["knn", "vim"], []]}
    )
    text = drawn("figure", TableView("t", "T", "", frame, [""], ("x",)))
    assert "<b>" not in text
    assert "<i>" not in text
    assert "&lt;b&gt;" in text
    assert text.count(">–<") == 2
    assert ">−0.123<" in text
    assert ">0.03<" in text
    assert ">knn, vim<" in text
    assert 'class="number share" style="--share:-0.123" data-v="-0.12345"' in text


@pytest.mark.parametrize(
    ("macro", "item"),
    [
        ("figure", Figure(EVIL, EVIL, EVIL, pl.DataFrame(), [EVIL], alt.Chart, (), EVIL)),
        ("figure", TableView(EVIL, EVIL, EVIL, pl.DataFrame({EVIL: [EVIL]}), [EVIL])),
        ("gallery", Gallery(EVIL, EVIL, [Picture(b"", (EVIL,))])),
    ],
)
def test_text_of_every_kind_of_item_is_inert(macro: str, item: Figure | TableView | Gallery) -> None:
    """In headings, captions, cells, commands, code and attributes."""
    text = drawn(macro, item)
    assert "<script" not in text
    assert "<!--" not in text
    assert not re.search(r"&(?!\w+;|#\d+;)", text)
    assert text.count(str(escape(plain(EVIL)))) >= 3


@pytest.mark.parametrize("text", [EVIL, "</script><b>", "a & b"])
def test_no_text_ends_the_element_that_holds_the_data(text: str) -> None:
    held = environment().from_string("{{ payload | tojson }}").render(payload=encoded(pl.DataFrame({text: [text]})))
    assert not set(held) & set("<>&'")
    (column,) = json.loads(held)
    assert (column["name"], column["words"]) == (text, [text])


def test_a_report_that_is_interrupted_leaves_no_process() -> None:
    """That which makes the pages' script is of no use to anybody then."""
    script = "import sys; from analysis.report.rendering import bundle; print(bundle()._process.pid); sys.exit(130)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    state = processes().get(int(ended.stdout), (0, 0, "gone"))[2]
    assert (ended.returncode, state in {"gone", "Z", "X"}) == (130, True)
