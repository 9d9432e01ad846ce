from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import polars as pl
import pytest

from analysis.charts.answer_plot import chart
from featurestore.query import answer, catalog

if TYPE_CHECKING:
    from pathlib import Path

    from featurestore import Lake
    from tests.conftest import Run

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


@pytest.mark.parametrize("column", ["weight_decay", "finetune_lr", "augmentation"])
@pytest.mark.parametrize("name", ["accuracy_vs_ninco_fpr", "accuracy_vs_unit_test_fpr", "ninco_vs_unit_test_fpr"])
def test_points_are_coloured_by_the_recipe_and_pictures_name_the_metric(
    lakes: dict[str, Lake], run: Run, tmp_path: Path, name: str, column: str
) -> None:
    """From the command to the picture: title, axes and legend."""
    file = tmp_path / "drawn.svg"
    asked = ("ask", name, "--color", column, "--metric", "auroc", "--plot", str(file))
    code, _, err = run(*asked, "--lake", lakes["whole"].location)
    assert code == 0, err
    texts = set(re.findall(r"<text[^>]*>([^<]*)</text>", file.read_text(encoding="utf-8")))
    assert column in texts
    assert any("AUROC" in text for text in texts)
    assert not any("FPR" in text or "fpr95" in text for text in texts)


@pytest.mark.parametrize("name", [name for name, question in DRAWN.items() if "metric" in question.parameters])
def test_no_picture_of_a_metric_names_another(lakes: dict[str, Lake], run: Run, tmp_path: Path, name: str) -> None:
    """The page that is drawn for AUROC says nothing of FPR on its title and axes."""
    file = tmp_path / "drawn.html"
    code, _, err = run("ask", name, "--metric", "auroc", "--plot", str(file), "--lake", lakes["whole"].location)
    assert code == 0, err
    page = file.read_text(encoding="utf-8")
    (spec,) = re.findall(r'<script id="specification"[^>]*>(.*?)</script>', page, re.DOTALL)
    drawn = json.loads(spec)
    encoding = drawn.get("spec", drawn)["encoding"]
    titles = [drawn["title"], *(encoding[channel]["title"] for channel in ("x", "y"))]
    assert not any(re.search("fpr", str(title), re.IGNORECASE) for title in titles), titles


def test_a_picture_names_the_set_that_was_asked_for(lakes: dict[str, Lake], run: Run, tmp_path: Path) -> None:
    """Points of another OOD set do not stand under the name of NINCO."""
    file = tmp_path / "drawn.svg"
    asked = ("ask", "accuracy_vs_ninco_fpr", "--param", "ood=unit-tests", "--plot", str(file))
    code, _, err = run(*asked, "--lake", lakes["whole"].location)
    assert code == 0, err
    assert ">Accuracy against unit-tests FPR<" in file.read_text(encoding="utf-8")
