from __future__ import annotations

import tomllib
from importlib import metadata

from packaging.requirements import Requirement

from featurestore.doctor.finding import Finding, findings_as_lines, troubles
from featurestore.doctor.software import examine_software, requirements
from tests.featurestore.conftest import ROOT


def test_all_that_the_package_asks_for_is_looked_at() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = requirements()
    assert {one.name for one in asked[""]} == {Requirement(line).name for line in project["dependencies"]}
    assert set(asked) == {"", *project["optional-dependencies"]}
    assert {one.name for one in asked["hf"]} == {"datasets", "pillow"}


def test_what_is_missing_is_a_trouble_in_the_core_and_a_remark_in_an_extra() -> None:
    """And a version out of bounds is one anywhere."""
    numpy = metadata.version("numpy")
    asked = {
        "": [Requirement("numpy>=1"), Requirement("no-such-library>=1")],
        "ray": [Requirement("no-other-library>=1")],
        "report": [Requirement("numpy>=999")],
    }
    found = {finding.topic: finding for finding in examine_software(asked)}
    assert list(found) == ["version", "core", "ray", "report"]
    assert found["core"].values == {
        "versions": {"numpy": numpy, "no-such-library": None},
        "missing": ["no-such-library"],
    }
    assert found["ray"].said == "missing: no-other-library (pip install 'featurestore[ray]')"
    assert troubles(list(found.values())) == [
        "no-such-library: not installed, and every command may need them: pip install 'featurestore'.",
        f"numpy {numpy} is installed, and featurestore[report] needs >=999: pip install --upgrade 'featurestore[report]'.",
    ]


def test_lines_are_broken_beside_their_topics() -> None:
    found = [Finding("cores", "2"), Finding("core", "duckdb 2.0.0, fsspec 2026.9.0, numpy 2.4.6")]
    lines = list(findings_as_lines(found, 32))
    assert lines == ["cores  2", "core   duckdb 2.0.0, fsspec", "       2026.9.0, numpy 2.4.6"]
