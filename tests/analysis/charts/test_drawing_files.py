"""Charts as files: whatever texts of a lake say, none of them is a script, and none ends the process that draws."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import altair as alt
import polars as pl
import pytest

from analysis.charts.drawing_files import script_json, write_chart
from featurestore import StorageError

if TYPE_CHECKING:
    from pathlib import Path

EVIL = "</script><script>document.title = 'broken into'</script><!--<script>"
HIDDEN = "a\x00b\x1b[2J\u202ec\ufffe"
FRAME = pl.DataFrame({"recipe": [EVIL, HIDDEN], "value": [1.0, 2.0]})


@pytest.fixture(scope="module")
def chart() -> alt.TopLevelMixin:
    drawn: alt.TopLevelMixin = alt.Chart(FRAME, title=f"{EVIL}{HIDDEN}").mark_point().encode(x="recipe:N", y="value:Q")
    return drawn


class Scripts(HTMLParser):
    """The scripts of a page, as a browser tells them apart."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, _: object) -> None:
        self.inside = tag == "script"
        if self.inside:
            self.found.append("")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.found[-1] += data

    def handle_endtag(self, _: str) -> None:
        self.inside = False


def test_a_page_has_its_own_scripts_alone(chart: alt.TopLevelMixin, tmp_path: Path) -> None:
    """The library, the data, and the call: a text that would end a script element, or hide its end, is a text; nothing is loaded."""
    write_chart(chart, tmp_path / "x.html")
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    library, data, call = Scripts(page).found
    assert len(library) > 100_000
    assert call.strip().startswith("vegaEmbed(")
    (rows,) = json.loads(data)["datasets"].values()
    assert [row["recipe"] for row in rows] == [EVIL, r"a\x00b\x1b[2J\u202ec\ufffe"]
    assert "default-src 'none'" in page
    assert not {"<", ">"} & set(script_json([EVIL]))


def test_an_image_is_drawn_of_any_text(chart: alt.TopLevelMixin, tmp_path: Path) -> None:
    """Characters that no XML may hold are spelled out: the library that draws would end the process."""
    write_chart(chart, tmp_path / "x.svg")
    texts = [element.text for element in ET.parse(tmp_path / "x.svg").iter() if element.tag.endswith("text")]  # our own
    assert any(text and text.startswith(r"a\x00b\x1b[2J") for text in texts)


def test_a_picture_that_cannot_be_written_leaves_the_old_one(
    chart: alt.TopLevelMixin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk, what is there stays whole."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "x.json").write_text("old")
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(StorageError, match=r"Cannot write .*x\.json: No space left on device\."):
        write_chart(chart, tmp_path / "x.json")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("x.json", "old")]
