from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

if TYPE_CHECKING:
    from featurestore import Lake
    from tests.conftest import Run

ROOT = Path(__file__).parents[3]


def test_sql_answers(run: Run, one_metric: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any SELECT over the views; the lake may come from the environment."""
    monkeypatch.setenv("FEATURESTORE_LAKE", one_metric.location)
    code, out, _ = run("sql", "select detector, avg(fpr95) as fpr95 from metrics group by 1", "--format", "csv")
    assert (code, out) == (0, "detector,fpr95\nmsp,0.125\n")


def test_sql_comes_through_a_pipe(run: Run, four: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements run in order on one connection; the first error ends them; those of an argument do alike."""

    def piped(text: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        found = run("sql", "--lake", four.location, "--format", "csv")
        assert run("sql", text, "--lake", four.location, "--format", "csv") == found
        return found

    text = "create table t as select 7 as a;\n-- then\nfrom t; select count(*) as n from best_detector()"
    assert piped(text) == (0, "a\n7\nn\n12\n", "")
    code, out, err = piped("select 1 as a; from modles; select 2 as b")
    assert (code, out) == (1, "a\n1\n")
    assert err == "Error: DuckDB refuses the query: there is no table 'modles': did you mean 'models'?\n"
    code, out, err = piped(" \n")
    assert (code, out) == (1, "")
    assert "There is no SQL: give it as an argument" in err


def test_parquet_goes_through_a_pipe(one_metric: Lake, tmp_path: Path) -> None:
    with (tmp_path / "answer.parquet").open("wb") as file:
        arguments = ["sql", "select model, fpr95 from metrics order by fpr95", "--format", "parquet"]
        command = [sys.executable, "-m", "featurestore", *arguments, "--lake", one_metric.location]
        subprocess.run(command, check=True, stdout=file, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert pl.read_parquet(tmp_path / "answer.parquet").rows() == [("vit", 0.0), ("vit", 0.25)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_lake_answers(run: Run, one_metric: Lake) -> None:
    """Asking needs no right to write."""
    for path in [*one_metric.storage.folder.rglob("*"), one_metric.storage.folder]:
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    assert run("sql", "from accuracy", "--lake", one_metric.location)[0] == 0
