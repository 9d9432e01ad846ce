from __future__ import annotations

from importlib import metadata

import pytest

from featurestore.doctor.finding import Finding, findings_as_lines, troubles
from featurestore.doctor.software import Requirement, examine_software


@pytest.mark.parametrize(
    ("bounds", "version", "allowed"),
    [
        (">=2.5", "2.10.0", True),
        (">=2.5", "2.4.9+cu121", False),
        (">=2.0", "2", True),
        (">=0.26,<0.29", "0.28.7", True),
        (">=0.26,<0.29", "0.29", False),
        (">=1.7", "1.9.0.post1", True),
        ("", "0.1", True),
    ],
)
def test_bounds_are_on_numbers_and_not_on_texts(bounds: str, version: str, allowed: bool) -> None:
    assert Requirement("lib", bounds, "").allows(version) is allowed


def test_what_is_asked_for_is_read_in_both_spellings() -> None:
    assert Requirement.read("datasets>=3.0; extra == 'hf'") == Requirement("datasets", ">=3.0", "hf")
    assert Requirement.read('moto[server] (>=5.1) ; extra == "dev"') == Requirement("moto", ">=5.1", "dev")
    assert Requirement.read("typer<0.29,>=0.26") == Requirement("typer", "<0.29,>=0.26", "")


def test_what_is_missing_is_a_trouble_in_the_core_and_a_remark_in_an_extra() -> None:
    """And a version out of bounds is one anywhere."""
    numpy = metadata.version("numpy")
    asked = [
        Requirement("numpy", ">=1", ""),
        Requirement("no-such-library", ">=1", ""),
        Requirement("no-other-library", ">=1", "ray"),
        Requirement("numpy", ">=999", "report"),
    ]
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
