"""Beside other modules that are called `analysis`, `extract` or `sql`, in real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAKE = ROOT / "tests" / "compat" / "lake_v1"
MODULE = ["-m", "featurestore"]
PLUGIN = """
from dataclasses import replace
import analysis
from analysis.detectors.registry import get
MINE = replace(get("msp"), name="mine")
print(analysis.__file__)
"""


def featurestore(command: list[str], *arguments: object, cwd: Path, path: list[Path]) -> tuple[int, str, str]:
    """Exit code, output and errors of the command in a working folder, with a Python path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "FEATURESTORE_LAKE": str(LAKE)}
    line = [sys.executable, *command, *map(str, arguments)]
    done = subprocess.run(line, check=False, capture_output=True, text=True, env=environment, cwd=cwd)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def script(tmp_path: Path) -> list[str]:
    """What `pip` writes as the command: its own folder comes first on Python's path."""
    file = tmp_path / "bin" / "featurestore"
    file.parent.mkdir()
    file.write_text("from featurestore.cli.app import main\nmain()\n")
    return [str(file)]


@pytest.fixture
def working(tmp_path: Path) -> Path:
    """A folder with modules of the user's that have our names, and must not run."""
    folder = tmp_path / "work"
    (folder / "extract").mkdir(parents=True)
    for name in ("analysis.py", "extract/__init__.py", "sql.py"):
        (folder / name).write_text("raise SystemExit('not to be run')")
    return folder


@pytest.mark.parametrize(
    "arguments", [["status"], ["ask", "best_detector"], ["dataset", "add", "d", "no", "--role", "id"]]
)
def test_the_working_folder_hides_nothing(working: Path, script: list[str], arguments: list[str]) -> None:
    """`python -m featurestore` does beside a user's modules what the command does elsewhere."""
    expected = featurestore(script, *arguments, cwd=working, path=[ROOT])
    assert not {"hides", "run"} & set(expected[2].split())
    assert featurestore(MODULE, *arguments, cwd=working, path=[ROOT]) == expected


@pytest.mark.parametrize("module", [True, False])
def test_a_plugin_is_found_in_the_working_folder(working: Path, script: list[str], *, module: bool) -> None:
    """By the name of its module, and what it imports of ours is ours."""
    (working / "plugged.py").write_text(PLUGIN)
    arguments = ["score", "--plugin", "plugged", "--lake", "nowhere"]
    _, out, _ = featurestore(MODULE if module else script, *arguments, cwd=working, path=[ROOT])
    assert out.splitlines() == [str(ROOT / "analysis" / "__init__.py"), "plugged: mine"]


def test_a_checkout_is_used_where_it_lies(tmp_path: Path) -> None:
    """The working folder stays on the path where the packages are found through it."""
    for name in ("featurestore", "analysis", "extract", "sql"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "plugged.py").write_text(PLUGIN)
    _, out, err = featurestore(MODULE, "score", "--plugin", "plugged", "--lake", "nowhere", cwd=tmp_path, path=[])
    assert out.splitlines()[:1] == [str(tmp_path / "analysis" / "__init__.py")], err


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["status"], "analysis.py"),
        (["score", "--lake", "nowhere"], "analysis.py"),
        (["dataset", "add", "d", "no", "--role", "id"], "extract/__init__.py"),
    ],
)
def test_a_module_that_hides_ours_is_named(working: Path, arguments: list[str], file: str) -> None:
    """One sentence with its file, before any of its lines run; what needs it not goes on."""
    path = [working, ROOT]
    code, out, err = featurestore(MODULE, *arguments, cwd=working, path=path)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"Error: {working / file} hides the package {file.partition('/')[0].removesuffix('.py')!r}")
    assert featurestore(MODULE, "sql", "select 1 as x", "--format", "csv", cwd=working, path=path) == (0, "x\n1\n", "")


def test_pyarrow_looks_for_pandas_only_when_a_table_is_to_become_pandas() -> None:
    """Where it is installed by chance, a command would import it for a second; whoever asks for a frame of pandas' still gets one."""
    pytest.importorskip("pandas")
    program = """
import sys
from featurestore.packages import start_without_pandas
start_without_pandas()
import pyarrow
table = pyarrow.table({"a": [1, None]})
print("pandas" in sys.modules)
print(type(table.to_pandas()).__module__, pyarrow.array(sys.modules["pandas"].Series([1.0, float("nan")])).null_count)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "pandas", "1"] or done.stdout.split()[1].startswith("pandas.")
    assert done.stdout.split()[::2] == ["False", "1"]


def test_pandas_may_be_imported_before_pyarrow() -> None:
    """It imports pyarrow itself, and is half imported then."""
    pytest.importorskip("pandas")
    program = "from featurestore.packages import start_without_pandas\nstart_without_pandas()\nimport pandas, pyarrow\nprint(pyarrow.array([1]).to_pandas())"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False).returncode == 0
