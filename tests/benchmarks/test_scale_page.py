"""The page on scale, which is computed of a run's rates and of inputs."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from benchmarks import scale_page
from benchmarks.history import read
from benchmarks.record import Record

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.history import Run

MEASURED = {
    ("float32, features and logits", "size"): 8000, ("float32, features", "size"): 3000, ("float16, features and logits", "size"): 4000,
    ("float16, features", "size"): 1500, ("a row of scores of one detector", "size"): 10, ("a model: statistics, metrics and what follows", "size"): 36,
    ("a JPEG of 500 x 375, decoded and resized, one core", "time"): 4, ("a fit row", "time"): 2, ("a judged row", "time"): 1, ("a model", "time"): 10,
}  # fmt: skip
REQUESTS = {
    "writing one model, 4 fragments": (20, 0, 8), "writing one model, 5 fragments": (21, 0, 8),
    "scoring it, 4 fragments, 6 detectors": (50, 100, 9), "scoring it, 5 fragments, 6 detectors": (50, 120, 8),
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Run:
    record = Record("scale", argparse.Namespace(record=True))
    with record.table("Rates") as table:
        for (row, column), value in MEASURED.items():
            table.add(row, [value], column=column, unit="")
        for row, counts in REQUESTS.items():
            for kind, count in zip(("put", "get", "list"), counts, strict=True):
                table.add(row, [count], column=kind, unit="")
    record.close(tmp_path / "history.jsonl")
    return read(tmp_path / "history.jsonl")[0]


def test_the_page_is_what_the_history_gives() -> None:
    """Nobody has written on it since, and nobody has measured since without writing it."""
    assert scale_page.PAGE.read_text(encoding="utf-8") == scale_page.page(read()), (
        "run `python -m benchmarks.scale_page`"
    )


def test_figures_follow_from_rates_and_inputs(run: Run) -> None:
    """By hand: 296 models x (1,281,167 fit rows + 62,679 judged ones), 85 fragments, 3 judged datasets."""
    known, inputs = scale_page.rates(run), scale_page.Inputs()
    assert scale_page.FRAGMENTS == 85
    whole = scale_page.storage_table(known, inputs)[1]
    assert whole[:3] == ["296", "float32, logits of all", "3.2 TB"]  # 296 x 1,343,846 x 8,000 B
    assert whole[3:] == ["7.8 GB", "10.7 GB", "74 $"]  # 296 x 62,679 x 42 x 10 B; 296 x 36 MB; at 0.023 $ a GB
    derived = scale_page.storage_table(known, inputs)[2]
    assert derived[2] == "1.3 TB"  # 296 x (1,281,167 x 3,000 + 62,679 x 8,000) B
    assert scale_page.extraction_table(known, inputs)[1] == ["296", "1", "4.6 days", "3.5 h", "4.6 days", "221 $"]
    assert scale_page.extraction_table(known, replace(inputs, images_per_second=1e6))[2][4:] == ["28 min", "7.47 $"]
    assert scale_page.scoring_table(known, inputs)[1] == [
        "296", "217", "7.3 h", "2.2 h", "1.5 h", "44 min", "44 min", "8.67 $",
    ]  # 296 x (2,562 + 63 + 10) s; ten rounds on 32 cores, three on 128, two on 256, one on more  # fmt: skip
    written, scored = scale_page.requests_table(known, inputs)[1:3]
    assert written[2:5] == ["29,896", "0", "2,368"]  # 296 x (20 + 81), 296 x 8
    assert scored[2:5] == ["46,768", "509,120", "2,664"]  # 296 x (50 + 36 x 3), 296 x (100 + 81 x 20), 296 x 9


def test_what_is_given_is_told_with_where_it_comes_from(run: Run) -> None:
    text = scale_page.page([run], scale_page.Inputs(gpu_hour=9.5))
    assert "| `--gpu-hour` | 9.5 | US$ an hour of a GPU; assumed, your price here |" in text
    assert run.machine in text
    assert "has not been recorded yet" in scale_page.page([])
