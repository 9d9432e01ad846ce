"""The lower bounds that `make test-lowest` installs, and the tests that it leaves out."""

from __future__ import annotations

import re
import sys
import tomllib

import pytest

from tests import lowest
from tests.without_torch import is_about_extraction


def test_every_lower_bound_of_the_core_is_installed() -> None:
    """Each requirement has one, and it is what pip is told; whatever comes along is as in CI."""
    project = tomllib.loads((lowest.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["analysis"], *extras["report"]]
    wanted.remove("featurestore[analysis]")
    installed = lowest.requirements()
    for requirement in wanted:
        name, bound = re.fullmatch(r"([\w-]+)>=([\d.]+).*", requirement).groups()  # type: ignore[union-attr]
        assert f"{name}=={bound}" in installed
    assert len(set(installed)) == len(installed) == len(wanted) + 1 + len(lowest.TOOLS)
    constrained = {line.partition("==")[0] for line in lowest.constraints()}
    assert constrained.isdisjoint(lowest.lowest())
    assert {"prompt-toolkit", "typing-extensions", "werkzeug"} - constrained == {"prompt-toolkit"}


def test_the_core_s_own_tests_are_never_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test is left out if it, or the GPU stage, asks for torch; where the lake or the CPU stage asks for it, it fails."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "duckdb", None)

    def about(place: str, module: str) -> bool:
        code = compile(f"import {module}", str(lowest.ROOT / place), "exec")
        with pytest.raises(ModuleNotFoundError) as error:
            exec(code)  # an import that stands in that file
        return is_about_extraction(error.value)

    assert about("extract/job/run.py", "torch")
    assert about("tests/pipeline.py", "torch")
    assert not about("featurestore/lake.py", "torch")
    assert not about("analysis/scoring/job.py", "torch")
    assert not about("tests/pipeline.py", "duckdb")


def test_what_is_left_out_is_not_installed() -> None:
    """Nothing that is asked for is of the GPU stage."""
    names = {re.split(r"[=\[]", line)[0] for line in lowest.requirements()}
    assert names.isdisjoint({"torch", "timm", "torchvision", "pillow", "safetensors", "ray"})


@pytest.mark.parametrize("mark", ["browser", "ray", "real", "s3"])
def test_a_target_looks_where_its_tests_are(mark: str) -> None:
    """Those of a mark are collected from a few places alone: no file that names the mark lies elsewhere."""
    (line,) = re.findall(
        rf'-m "?{mark}(?: and not long")? (tests/.*)', (lowest.ROOT / "Makefile").read_text(encoding="utf-8")
    )
    places = [lowest.ROOT / place for place in line.split()]
    named = re.compile(rf"\bmark\.{mark}\b|\bimport .*\b{mark.upper()}\b")
    files = set((lowest.ROOT / "tests").rglob("*.py")) - {lowest.ROOT / "tests" / "conftest.py"}
    marked = [file for file in files if named.search(file.read_text(encoding="utf-8"))]
    assert marked
    assert [file for file in marked if not any(file.is_relative_to(place) for place in places)] == []
