"""The documentation says what there is: commands, options, views, columns, questions, detectors, settings."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

import featurestore
from extract.unit_tests import KINDS
from featurestore import Lake
from featurestore.cli.output import FOR_ALL
from featurestore.judge import Judge
from featurestore.layout.tables import RECIPE_COLUMNS
from featurestore.query import library
from tests import guide

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
FROZEN = Lake(ROOT / "tests" / "compat" / "lake_v1")
TEXTS = {str(page.relative_to(guide.DOCS)): page.read_text(encoding="utf-8") for page in guide.PAGES}


@pytest.fixture(scope="module")
def blocks() -> dict[str, str]:
    """The generated parts as they should be."""
    return guide.blocks()


def test_the_reference_has_every_command_view_macro_question_detector_statistic_and_setting(
    blocks: dict[str, str],
) -> None:
    """A new one fails here until a page has room for it, and one that is gone until its place is gone."""
    named = [name for text in TEXTS.values() for name in guide.names(text)]
    for name in blocks:
        place = f"<!-- generated: {name} -->"
        assert name in named, f"No page has {name!r}: write a section with {place} and <!-- end --> in docs/reference."
    assert sorted(named) == sorted(blocks)


def test_the_reference_says_what_the_code_says(blocks: dict[str, str]) -> None:
    """Options, defaults, columns, parameters, formulas and constants are those of the code."""
    behind = [page for page, text in TEXTS.items() if guide.updated(text, blocks) != text]
    assert behind == [], "These pages are behind the code: run `python -m tests.guide`."


def test_every_page_and_study_has_its_place() -> None:
    """The site's navigation names each page, and the page on the report each study that runs as a command."""
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^ +- (\S+\.md)$", navigation, re.MULTILINE)) == sorted(TEXTS), (
        "mkdocs.yml names in `nav` each page of docs/, and no other."
    )
    studies = {file.stem for file in (ROOT / "analysis" / "studies").glob("*.py") if "__main__" in file.read_text()}
    assert set(re.findall(r"^\| `(\w+)` \|", TEXTS["ask/report.md"], re.MULTILINE)) == studies


@pytest.mark.parametrize("page", guide.PAGES, ids=lambda page: page.stem)
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


def test_every_column_of_a_pool_and_every_kind_of_unit_test_is_documented() -> None:
    """What stands in files that users write, or in options' values, is listed too."""
    pools, unit_tests = TEXTS["make/checkpoints.md"] + TEXTS["make/pools.md"], TEXTS["reference/commands.md"]
    assert [
        name for name in (*RECIPE_COLUMNS, "recipe", "checkpoint", "model_kwargs") if f"`{name}`" not in pools
    ] == []
    assert [name for name in KINDS if f"`{name}`" not in unit_tests] == []


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """The frozen lake in DuckDB, whole."""
    with FROZEN.connect() as connection:
        yield connection


def test_the_example_of_a_question_is_one(connection: duckdb.DuckDBPyConnection) -> None:
    """The file that the page shows parses, binds its defaults, and has the columns that it documents."""
    (text,) = re.findall(r"```sql\n(.*?)```", TEXTS["write/question.md"], re.DOTALL)
    question = library.read_question(text, "models_by_width", "docs/write/question.md")
    answer = connection.sql(question.sql, params=question.bind({}))
    assert answer.columns == list(question.columns)
    assert answer.fetchall()


def test_sql_on_the_pages_is_answered(connection: duckdb.DuckDBPyConnection) -> None:
    """Each statement, but what is in a catalog's file alone."""
    blocks = re.findall(r"```sql\n(.*?)```", TEXTS["ask/asking.md"], re.DOTALL)
    statements = [
        one for block in blocks for one in duckdb.extract_statements(block) if "stored.snapshot" not in one.query
    ]
    assert len(statements) == 8
    for statement in statements:
        connection.execute(statement).fetchall()


@pytest.mark.parametrize("page", ["ask/python.md", "ask/judging.md"])
def test_python_on_the_pages_calls_what_there_is(page: str) -> None:
    """Methods of lakes and judges take what they are given, and the package has the names."""
    kinds = {"lake": Lake, "judge": Judge}
    calls = 0
    for text in re.findall(r"```python\n(.*?)```", TEXTS[page], re.DOTALL):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                owner = {"fs": featurestore, **kinds}.get(node.value.id)
                fields = {field.name for field in dataclasses.fields(Judge)} if owner is Judge else set()
                assert owner is None or hasattr(owner, node.attr) or node.attr in fields, node.attr
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if name in kinds:
                    given = {keyword.arg: None for keyword in node.keywords if keyword.arg}
                    bound = inspect.getattr_static(kinds[name], method).__get__(object())
                    inspect.signature(bound).bind(*node.args, **given)
                    calls += 1
    assert calls >= 5


def test_the_example_of_a_study_is_one() -> None:
    """The file that the page shows has rows for a lake, and a chart for these."""
    (text,) = re.findall(r"```python\n(.*?)```", TEXTS["write/study.md"], re.DOTALL)
    study: dict[str, Any] = {"__name__": "by_accuracy"}
    exec(compile(text, "docs/write/study.md", "exec"), study)
    frame = study["data"](FROZEN)
    assert frame["models"].sum() > 1
    assert study["chart"](frame).to_dict()["encoding"]["y"]["field"] == "fpr95"


@pytest.mark.parametrize("page", [ROOT / "README.md", *guide.PAGES], ids=lambda page: page.stem)
def test_commands_on_the_pages_exist(page: Path, blocks: dict[str, str]) -> None:
    """What a reader copies is a command with options that it has."""
    known = {tuple(name.split()[1:]): block for name, block in blocks.items() if name.startswith("command ")}
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"^(?:\$ )?featurestore (.*)$", text, re.MULTILINE):
        words = tuple(line.partition("#")[0].split())
        command = next((words[:length] for length in (2, 1) if words[:length] in known), None)
        assert command, line
        for option in re.findall(r"(?<!\S)--[a-z-]+", line):
            assert f"`{option}" in known[command] or option in FOR_ALL, line
