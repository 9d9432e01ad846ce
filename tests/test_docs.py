"""The documentation says what there is: commands, options, views, columns, questions, detectors, settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from extract.unit_tests import KINDS
from featurestore import Lake
from featurestore.layout.tables import RECIPE_COLUMNS
from featurestore.query import library
from tests import guide

ROOT = Path(__file__).parent.parent
GUIDE = guide.GUIDE.read_text(encoding="utf-8")
PAGES = sorted((ROOT / "docs").glob("*.md"))


def section(heading: str) -> str:
    """The text from a heading to the next one."""
    return re.split(r"^#+ ", re.split(rf"^#+ {heading}$", GUIDE, flags=re.MULTILINE)[1], flags=re.MULTILINE)[0]


def test_the_guide_has_every_command_view_question_detector_and_setting() -> None:
    """A new one fails here until it is in the guide, and one that is gone until it is out of it."""
    named = guide.names(GUIDE)
    for name in guide.blocks():
        place = f"<!-- generated: {name} -->"
        assert name in named, f"docs/guide.md lacks {name!r}: write a section with {place} and <!-- end --> in it."
    assert sorted(named) == sorted(guide.blocks())


def test_the_guide_says_what_the_code_says() -> None:
    """Options, defaults, columns, parameters and formulas are those of the code."""
    assert guide.updated(GUIDE) == GUIDE, "docs/guide.md is behind the code: run `python -m tests.guide`."


def test_the_page_on_detectors_has_every_constant_and_statistic() -> None:
    """What may be chosen, what fits are made from, and which detectors learn from it."""
    page = guide.DETECTORS.read_text(encoding="utf-8")
    assert sorted(guide.names(page)) == sorted(guide.detector_blocks())
    known = guide.detector_blocks()
    assert guide.updated(page, known) == page, "docs/detectors.md is behind the code: run `python -m tests.guide`."


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file, and every anchor a heading."""
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target


def test_the_guide_has_every_column_of_a_pool_and_every_kind_of_unit_test() -> None:
    """What stands in files that users write, or in options' values, is listed too."""
    pools, unit_tests = section("Models and pools"), section("unit-tests")
    assert [
        name for name in (*RECIPE_COLUMNS, "recipe", "checkpoint", "model_kwargs") if f"`{name}`" not in pools
    ] == []
    assert [name for name in KINDS if f"`{name}`" not in unit_tests] == []


def test_the_example_of_a_question_is_one() -> None:
    """The file that the guide shows parses, binds its defaults, and has the columns that it documents."""
    text = re.findall(r"```sql\n(.*?)```", section("Writing a question"), re.DOTALL)[0]
    question = library.read_question(text, "models_by_width", "docs/guide.md")
    with Lake(ROOT / "tests" / "compat" / "lake_v1").connect() as connection:
        answer = connection.sql(question.sql, params=question.bind({}))
        assert answer.columns == list(question.columns)
        assert answer.fetchall()


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_commands_on_the_pages_exist(page: Path) -> None:
    """What a reader copies is a command with options that it has."""
    known = {tuple(name.split()[1:]): block for name, block in guide.blocks().items() if name.startswith("command ")}
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"^(?:\$ )?featurestore (.*)$", text, re.MULTILINE):
        words = tuple(line.partition("#")[0].split())
        command = next((words[:length] for length in (2, 1) if words[:length] in known), None)
        assert command, line
        for option in re.findall(r"(?<!\S)--[a-z-]+", line):
            assert f"`{option}" in known[command], line
