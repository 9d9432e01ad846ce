"""Questions that say by which parameters the rows of a table are chosen: they read no others, and answer the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks.lakes.tables import put_dataset, put_scores
from featurestore import CorruptionError, Filters, Lake, MissingError
from featurestore.query import answer, catalog, library
from tests.sql.test_filtered_questions import rounded

if TYPE_CHECKING:
    from featurestore.sql_text.header import SqlFile

QUESTIONS = {name: question for name, question in catalog.questions().items() if question.reads}
VALUES = {
    "benchmark": ("all", "main"),
    "model": ("any", "none", "base"),
    "detector": ("all", "none", "max-logit"),
    "ood": ("all", "unit-tests"),
}
COUNTED = """\
-- title: Scores of one detector
-- param detector text = msp: The detector
-- param model text = all: The model
-- reads scores: detector = $detector, model = $model
-- column scores: How many
select count(score) from scores where detector = $detector and $model in ('all', model)
"""


def rows(lake: Lake, question: SqlFile, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    found = answer.answer_to(lake.storage, question, values)
    return [tuple(map(rounded, row)) for row in found.relation.fetchall()]


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_answer_is_as_of_all_rows(lakes: dict[str, Lake], name: str) -> None:
    """Whatever is asked for."""
    question, lake = QUESTIONS[name], lakes["whole"]
    naive, answered = replace(question, reads={}), 0
    asked = [{name: value} for name in question.parameters for value in VALUES.get(name, ())]
    narrowest = {name: values[-1] for name, values in VALUES.items() if name in question.parameters}
    for values in ({}, *asked, narrowest):
        found = rows(lake, question, values)
        assert found == rows(lake, naive, values), values
        answered += bool(found)
    assert answered > 1


@pytest.fixture
def two(tmp_path: Any) -> Lake:
    """Two models with scores of two detectors."""
    lake, scores = Lake(tmp_path), np.arange(50.0)
    put_dataset(lake, "id", "id", ["a"] * 50, [0] * 50)
    for model in ("one", "other"):
        put_scores(lake, model, "id", dict.fromkeys(("msp", "vim"), (scores, scores / 50)))
    return lake


def test_fragments_of_others_are_not_compared(two: Lake) -> None:
    """What was asked for is: wrong bytes never become numbers."""
    question = library.read_question(COUNTED, "counted", "counted.sql")
    assert two.storage.folder
    (file,) = two.storage.folder.glob("scores/*/model=one/*/*vim*/*.parquet")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert rows(two, question, {}) == [(100,)]
    assert rows(two, question, {"detector": "vim", "model": "other"}) == [(50,)]
    for values in ({"detector": "vim"}, {"detector": "vim", "model": "one"}):
        with pytest.raises(CorruptionError, match="sha256 differs"):
            rows(two, question, values)
    with pytest.raises(CorruptionError, match="sha256 differs"):
        rows(two, replace(question, reads={}), {})


def test_names_of_what_is_not_read_are_known(two: Lake) -> None:
    """To filters, and to an answer without rows that says why."""
    question = library.read_question(COUNTED.replace("$model in", "score < 0 and $model in"), "none", "none.sql")
    question = replace(question, sql=question.sql.replace("select count(score)", "select score"))
    for chosen in (Filters(detectors=["vim", "msp"]), Filters(detectors=["vim"]), Filters()):
        assert answer.answer_to(two.storage, question, {}, chosen).relation.fetchall() == []
    with pytest.raises(MissingError, match="There is no detector 'vin': did you mean 'vim'"):
        answer.answer_to(two.storage, question, {}, Filters(detectors=["vin", "msp"]))
    (line,) = answer.answer_to(two.storage, question, {"detector": "vin"}).why_empty("here")
    assert line.startswith("There is no detector 'vin' in scores: did you mean 'vim'")
    (line,) = answer.answer_to(two.storage, question, {}).why_empty("here")
    assert line.startswith("Nothing in it fits")
