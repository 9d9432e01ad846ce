"""The wheel, installed into a clean environment without torch, answers from any folder, also beside modules of our names."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pyarrow as pa
import pytest

from featurestore import Lake
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing
from tests import package

REPOSITORY = Path(__file__).parent.parent


def _run(*arguments: object, cwd: Path, environment: dict[str, str] | None = None) -> str:
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "FEATURESTORE_LAKE"}}
    done = subprocess.run(
        list(map(str, arguments)),
        cwd=cwd,
        env={**clean, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.long
def test_the_wheel_answers_from_any_folder_without_torch(tmp_path: Path) -> None:
    _run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path / "dist", REPOSITORY, cwd=tmp_path)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert package.problems_of_wheel(wheel) == []
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-compile"]
    _run(*pip, "-c", REPOSITORY / "constraints.txt", wheel, cwd=tmp_path)
    lake = Lake(tmp_path / "lake")
    row = {"n": 10, "top1": 0.5, "top5": 0.9}
    rows = pa.Table.from_pylist([row], TABLES["accuracy"].columns)
    target = writing.Target(TABLES["accuracy"], {"model": "m", "dataset": "d"}, {}, {})
    writing.write_part(lake.storage, target, rows, replacing=False)
    command = tmp_path / "venv" / "bin" / "featurestore"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("analysis.py", "extract.py", "sql.py"):
        (elsewhere / name).write_text("raise SystemExit('not to be run')")
    query = [command, "sql", "select model, top1 from accuracy", "--format", "csv", "--lake", lake.location]
    assert _run(*query, cwd=elsewhere) == "model,top1\nm,0.5\n"
    published = [command, "sql", "select count(*) as n from published", "--format", "csv", "--lake", lake.location]
    assert _run(*published, cwd=elsewhere) == "n\n704\n"
    assert "accuracy_vs_unit_test_fpr" in _run(command, "ask", cwd=elsewhere)
    assert _run(command, "ask", "accuracy_vs_unit_test_fpr", "--format", "csv", "--lake", lake.location, cwd=elsewhere)
    verify = ["verify", "--deep", "--lake", lake.location]
    assert _run(command, *verify, cwd=elsewhere) == _run(python, "-m", "featurestore", *verify, cwd=elsewhere)
    failed = subprocess.run(
        [command, "extract", "--model", "m", "--dataset", "d", "--lake", lake.location],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.returncode == 1
    assert "pip install 'featurestore[extract]'" in failed.stderr
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    assert not {"torch", "scipy", "polars"} & {folder.name for folder in packages.iterdir()}
    assert sum(file.stat().st_size for file in packages.rglob("*") if file.is_file()) < 400e6
    _run(*pip, "-c", REPOSITORY / "constraints.txt", f"{wheel}[analysis]", cwd=tmp_path)
    assert "model,dataset,role" in _run(command, "status", "--format", "csv", "--lake", lake.location, cwd=elsewhere)
