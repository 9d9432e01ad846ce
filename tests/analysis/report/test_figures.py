"""Figures as files: as wide as a paper's column, of the detectors that the page begins with."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

import polars as pl
import pytest

from analysis.report import write_report
from analysis.studies.results import leading, results
from benchmarks.lakes.random_scores import Shape, make

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.long
def test_figures_are_as_wide_as_a_column(tmp_path: Path) -> None:
    """85 mm at 300 dots per inch; PNG, SVG and the whole data of each figure."""
    lake = make(tmp_path / "lake", Shape(models=8))
    written = write_report(lake, tmp_path / "out.html", figures=tmp_path / "figures" / "new")
    names = {path.stem for path in written}
    assert len(written) == 3 * len(names) == 3 * 13
    for name in names:
        png, svg, csv = (tmp_path / "figures" / "new" / f"{name}.{suffix}" for suffix in ("png", "svg", "csv"))
        (width,) = struct.unpack(">I", png.read_bytes()[16:20])
        assert abs(width - 85 / 25.4 * 300) <= 2, name
        assert 'width="85mm"' in svg.read_text(encoding="utf-8"), name
        assert len(pl.read_csv(csv)) > 0, name


def test_drawings_show_the_best_detectors_and_say_which_is_picked(tmp_path: Path) -> None:
    """Of ten detectors, a drawing names the eight best, or the best alone as its title; the CSV has all."""
    lake = make(tmp_path / "lake", Shape(models=3, detectors=tuple(f"d{i}" for i in range(10))))
    write_report(lake, tmp_path / "out.html", figures=tmp_path)
    best = leading(results(lake, "main"))
    for name, told in (
        ("accuracy-vs-fpr", best[:1]),
        ("threshold-explorer", best[:8]),
        ("unit-test-heatmap", best[:1]),
    ):
        svg = (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
        assert set(re.findall(r">(d\d)<", svg)) == set(told), name
        assert set(pl.read_csv(tmp_path / f"{name}.csv")["detector"]) == set(best), name
