"""A filtered question is asked as if the lake held just what the filters leave."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest

from featurestore import Filters, InputError, Lake, MissingError
from featurestore.query import answer, catalog
from tests.long import shortened

if TYPE_CHECKING:
    from featurestore.query.answer import Answer

QUESTIONS = {
    name: question
    for name, question in catalog.questions().items()
    if not answer.needs_no_lake(question) and name != "overlaps"
}
"""Those that are of models; `overlaps` is of datasets alone."""


def rows(lake: Lake, name: str, chosen: Filters | None = None) -> list[tuple[Any, ...]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return [tuple(map(rounded, row)) for row in lake.ask(name, chosen).fetchall()]


def rounded(value: Any) -> Any:
    """Sums depend on the order of their terms in the last digits."""
    return float(f"{value:.9g}") if isinstance(value, float) else value


@pytest.mark.parametrize("name", shortened(QUESTIONS, to=20))
def test_chosen_models_are_a_lake_of_their_own(lakes: dict[str, Lake], name: str) -> None:
    """--model, and a condition on the model's name, give the answer of a lake that holds only these models."""
    chosen = {
        "no recipe": Filters(models=["base", "unknown"]),
        "two pairs": Filters(where="model in ('base', 'wd', 'scratch')"),
    }
    for lake, narrowed in chosen.items():
        assert rows(lakes["whole"], name, narrowed) == rows(lakes[lake], name)


@pytest.mark.parametrize("name", shortened(QUESTIONS, to=6))
def test_a_condition_that_always_holds_changes_nothing(lakes: dict[str, Lake], name: str) -> None:
    """On the recipe, and, where a question reads metrics, on results of every kind."""
    condition = "coalesce(weight_decay, 0) >= 0 and (model is not null or dropout > 3)"
    if "metrics" in catalog.views_behind(QUESTIONS[name].sql):
        condition += " and (fpr95 >= 0 or accuracy > 2) and ood_dataset <> 'x'"
    assert rows(lakes["whole"], name, Filters(where=condition)) == rows(lakes["whole"], name)


def test_a_question_of_datasets_alone_refuses_filters(lakes: dict[str, Lake]) -> None:
    for chosen in (Filters(models=["base"]), Filters(detectors=["msp"]), Filters(where="weight_decay > 0")):
        with pytest.raises(InputError, match=r"(changes|chooses) nothing"):
            lakes["whole"].ask("overlaps", chosen)


def test_a_question_of_models_alone_refuses_detectors(lakes: dict[str, Lake]) -> None:
    with pytest.raises(InputError, match="--detector chooses nothing here: the question reads no detectors"):
        lakes["whole"].ask("miscalibration", Filters(detectors=["msp"]))


@pytest.mark.parametrize("name", [name for name in QUESTIONS if name != "miscalibration"])
def test_detectors_are_chosen(lakes: dict[str, Lake], name: str) -> None:
    """No question tells of a detector that was not chosen."""
    relation, column = lakes["whole"].ask(name, Filters(detectors=["mahalanobis"])), "detector"
    if column in relation.columns:
        assert set(relation.pl()[column]) <= {"mahalanobis", "all"}


@pytest.mark.parametrize("name", ["best_detector", "hardest_samples", "selective_prediction"])
def test_an_unknown_detector_is_refused(lakes: dict[str, Lake], name: str) -> None:
    """Of whichever table the question reads them."""
    with pytest.raises(MissingError, match="There is no detector 'mahalanobs': did you mean 'mahalanobis'"):
        lakes["whole"].ask(name, Filters(detectors=["mahalanobs"]))


def test_an_answer_from_nothing_says_why(lakes: dict[str, Lake]) -> None:
    """Every question on a lake without results names the command that makes them."""
    lake = lakes["none"]
    for name, question in QUESTIONS.items():
        found: Answer = answer.answer_to(lake.storage, question, {}, location="here")
        if not found.relation.fetchall():
            assert any("yet: `featurestore" in line for line in found.why_empty("here")), name


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("hardest_samples", {"ood": "nico"}, "There is no dataset 'nico' in datasets: did you mean 'ninco'?"),
        ("confused_with", {"ood_class": "no-such"}, "There is no class_name 'no-such' in samples: "),
        (
            "hardest_samples",
            {"detector": "mahalanobs"},
            "no detector 'mahalanobs' in scores: did you mean 'mahalanobis",
        ),
        ("hardest_samples", {"benchmark": "all"}, "Nothing in it fits: `featurestore ask hardest_samples --explain`"),
    ],
)
def test_an_empty_answer_from_single_scores_says_why(
    lakes: dict[str, Lake], name: str, parameters: dict[str, Any], message: str
) -> None:
    found = answer.answer_to(lakes["whole"].storage, QUESTIONS[name], parameters)
    assert found.relation.fetchall() == []
    (line,) = found.why_empty("here")
    assert message in line


def test_a_question_of_one_detector_is_asked_of_the_one_that_is_chosen(lakes: dict[str, Lake]) -> None:
    """--detector alone is enough where the question has a parameter of that name; what is given as such counts."""
    lake, name = lakes["whole"], "unit_test_heatmap"
    of_msp = lake.ask(name, detector="msp").fetchall()
    assert rows(lake, name, Filters(detectors=["msp"])) == [tuple(map(rounded, row)) for row in of_msp] != []
    assert lake.ask(name, Filters(detectors=["msp"]), detector="mahalanobis").fetchall() == []
