"""What the page promises is held by tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "promises.md"


def _promised() -> list[tuple[str, str]]:
    return re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE.read_text(encoding="utf-8"))


def test_each_promise_names_a_test() -> None:
    """Each line of its tables under what is guaranteed."""
    guaranteed = PAGE.read_text(encoding="utf-8").partition("## What is not promised")[0]
    lines = [line for line in guaranteed.splitlines() if line.startswith("| ") and line != "| promise | test |"]
    assert len(lines) > 20
    assert [line for line in lines if "::" not in line] == []


@pytest.mark.parametrize("file", sorted({file for file, _ in _promised()}))
def test_promised_tests_exist(file: str) -> None:
    text = (TESTS / file).read_text(encoding="utf-8")
    names = [name for of, name in _promised() if of == file]
    assert [
        name for name in names if not re.search(rf"(def {name}\(|^{name} = |class {name}\b)", text, re.MULTILINE)
    ] == []
