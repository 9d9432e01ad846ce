from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.lakes import put
from featurestore import Filters, InputError, Lake, LakeError, MissingError
from featurestore.query import answer, library

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featurestore.query.answer import Answer

QUERIES = {
    "models": "select distinct model from models",
    "metrics": "select distinct model || ' ' || detector || ' ' || ood_dataset || ' ' || aggregation from metrics",
    "results": "select distinct model || ' ' || detector || ' ' || ood_dataset || ' ' || aggregation from results",
    "scores": "select distinct model || ' ' || detector || ' ' || dataset from scores",
    "accuracy": "select distinct model from accuracy",
    "both": "select distinct metrics.model || ' ' || metrics.detector || ' ' || dataset from metrics inner join scores using (model, detector)",
    "datasets": "select dataset from datasets",
    "published": "select distinct model || ' ' || detector from published",
}


def ask(lake: Lake, query: str, **chosen: Any) -> Answer:
    question = library.read_question(f"-- title: Which are left\n{QUERIES[query]} order by 1", "left", "left.sql")
    return answer.answer_to(lake.storage, question, {}, Filters(**chosen), location=lake.location)


def left(lake: Lake, query: str, **chosen: Any) -> list[str]:
    return [row[0] for row in ask(lake, query, **chosen).relation.fetchall()]


def crossed(*lists: Sequence[str]) -> list[str]:
    texts = [""]
    for parts in lists:
        texts = [f"{text} {part}".strip() for text in texts for part in parts]
    return sorted(texts)


DETECTORS, OOD, SETS, KINDS = ("msp", "vim"), ("far", "near"), ("far", "id"), ("class", "class_mean")


def test_models_are_chosen_in_every_view(four: Lake) -> None:
    """--model acts on what is stored of a model, and on all that is made of it."""
    assert left(four, "models", models=["a", "d"]) == ["a", "d"]
    assert left(four, "accuracy", models=["a", "d"]) == ["a"]
    for view in ("metrics", "results"):
        assert left(four, view, models=["a", "c"]) == crossed("ac", DETECTORS, OOD, KINDS)
    assert left(four, "scores", models=["c"]) == crossed("c", DETECTORS, SETS)


def test_detectors_are_chosen_in_every_view_that_has_them(four: Lake) -> None:
    for view in ("metrics", "results"):
        assert left(four, view, detectors=["vim"]) == crossed("abc", ["vim"], OOD, KINDS)
    assert left(four, "scores", detectors=["msp"], models=["b"]) == crossed("b", ["msp"], SETS)
    assert left(four, "both", detectors=["msp", "vim"]) == crossed("abc", DETECTORS, SETS)


@pytest.mark.parametrize(
    ("where", "models"),
    [
        ("pretraining = 'in21k'", "b"),
        ("pretraining like 'in%'", "ab"),
        ("weight_decay >= 0.1", "abd"),
        ("weight_decay is null", "c"),
        ("pretraining is distinct from 'in1k' and weight_decay = 0.3", "bd"),
        ("model in ('a', 'c') and params = 10", "ac"),
        ("weight_decay > 7", ""),
    ],
)
def test_a_condition_on_the_recipe_chooses_models(four: Lake, where: str, models: str) -> None:
    """It acts on everything that is known of them, scored or not."""
    scored = [model for model in models if model != "d"]
    assert left(four, "models", where=where) == list(models)
    assert left(four, "accuracy", where=where) == scored
    assert left(four, "results", where=where) == crossed(scored, DETECTORS, OOD, KINDS)
    assert left(four, "scores", where=where) == crossed(scored, DETECTORS, SETS)


def test_a_condition_on_accuracy_chooses_models_with_results(four: Lake) -> None:
    """Accuracy is that on the benchmark's ID test set; a model that has none is not among them."""
    assert left(four, "models", where="accuracy > 0.75") == ["b", "c"]
    assert left(four, "results", where="accuracy > 0.75") == crossed("bc", DETECTORS, OOD, KINDS)
    assert left(four, "scores", where="accuracy > 0.75 and pretraining <> 'in21k'") == crossed("c", DETECTORS, SETS)


def test_a_condition_on_results_chooses_rows(four: Lake) -> None:
    """OOD set, aggregation, FPR: of the metrics, those rows; a mix with the recipe is judged row by row."""
    where = "ood_dataset = 'near' and aggregation = 'class_mean'"
    assert left(four, "metrics", where=where) == crossed("abc", DETECTORS, ["near"], ["class_mean"])
    assert left(four, "results", where="fpr95 < 0.25") == crossed("a", ["msp"], OOD, KINDS)
    mixed = "(pretraining = 'in1k' or fpr95 > 0.6) and ood_dataset = 'far' and aggregation = 'class'"
    assert left(four, "results", where=mixed) == sorted(
        [*crossed("a", DETECTORS, ["far"], ["class"]), *crossed("c", ["vim"], ["far"], ["class"])]
    )
    either = "(accuracy > 0.85 or detector = 'msp') and weight_decay is null"
    assert left(four, "scores", where=either) == crossed("c", DETECTORS, SETS)
    assert left(four, "scores", where="accuracy > 0.85 or detector = 'msp'") == sorted(
        [*crossed("ab", ["msp"], SETS), *crossed("c", DETECTORS, SETS)]
    )
    assert left(four, "results", where="ood_class = 'x'") == crossed("abc", DETECTORS, OOD, ["class"])


def test_all_filters_together(four: Lake) -> None:
    found = left(four, "results", models=["a", "b"], detectors=["vim"], where="accuracy < 0.75 and ood_dataset = 'far'")
    assert found == crossed("a", ["vim"], ["far"], KINDS)


def test_published_numbers_are_narrowed_where_they_are_all_that_is_read(four: Lake) -> None:
    """Then, and only then, their columns and models are what filters name."""
    assert left(four, "published", models=["ResNet50"], detectors=["vim", "gmn"]) == ["ResNet50 gmn", "ResNet50 vim"]
    assert left(four, "published", where="accuracy > 0.9 and fpr95 < 0.25 and timm_name like 'eva02%'")


@pytest.mark.parametrize(
    ("where", "note"),
    [
        ("weight_decay > 0.05", "1 of 4 models left out by (weight_decay > 0.05): their weight_decay is not known."),
        ("pretraining <> 'in1k'", "1 of 4 models left out by (pretraining != 'in1k'): their pretraining is not known."),
        ("pretraining = 'in21k' or weight_decay < 0", "2 of 4 models left out by"),
        ("weight_decay > 0.05 or ood_dataset = 'nowhere'", "1 of 3 models left out by"),
    ],
)
def test_models_of_which_nothing_is_known_are_counted(four: Lake, where: str, note: str) -> None:
    (found,) = ask(four, "results", where=where).notes
    assert found.startswith(note)


@pytest.mark.parametrize("where", ["weight_decay is null", "coalesce(weight_decay, 0) = 0", "ood_class = 'x'"])
def test_nothing_is_said_where_nothing_is_unknown(four: Lake, where: str) -> None:
    """A condition that is true or false of every model leaves none out unheard; an aggregate has no OOD class."""
    assert ask(four, "results", where=where).notes == []


def test_python_warns_of_what_is_left_out(four: Lake) -> None:
    """A relation has no room for a sentence."""
    with pytest.warns(UserWarning, match="1 of 4 models left out by"):
        found = four.ask("best_detector", Filters(where="weight_decay < 0.2")).pl()
    assert set(found["pretraining"]) == {"in1k"}


@pytest.mark.parametrize(
    ("query", "chosen", "error", "message"),
    [
        ("metrics", {"models": ["aa"]}, MissingError, "There is no model 'aa': did you mean 'a'"),
        ("scores", {"models": ["e"]}, MissingError, "There is no model 'e': there are a, b, c, d"),
        ("metrics", {"detectors": ["mps"]}, MissingError, "There is no detector 'mps': did you mean 'msp'"),
        ("scores", {"detectors": ["wim"]}, MissingError, "There is no detector 'wim': did you mean 'vim'"),
        ("models", {"detectors": ["msp"]}, InputError, "--detector chooses nothing here: the question reads no det"),
        ("datasets", {"models": ["a"]}, InputError, "--model chooses nothing here"),
        ("datasets", {"where": "model = 'a'"}, InputError, "changes nothing that the question reads, which is data"),
        ("scores", {"where": "fpr95 < 0.5"}, InputError, "nothing that the question reads, which is scores: there are"),
        ("metrics", {"where": "acuracy < 0.5"}, InputError, "there is no column 'acuracy': did you mean 'accuracy'"),
        ("metrics", {"where": "accuracy"}, InputError, "is a value: compare it"),
        ("metrics", {"where": "weight_decay + 1"}, InputError, "is a value: compare it"),
        ("metrics", {"where": "pretraining > 3"}, InputError, "--where cannot be .*Cannot compare values"),
        ("metrics", {"where": "cast(pretraining as int) > 3"}, InputError, "--where cannot be .*Could not convert"),
        ("metrics", {"where": "accuracy > 1; drop table x"}, InputError, "syntax error"),
        ("published", {"models": ["ResNet5"]}, MissingError, "did you mean 'ResNet50'"),
        ("published", {"where": "weight_decay > 1"}, InputError, "there is no column 'weight_decay'"),
    ],
)
def test_a_filter_that_cannot_be(
    four: Lake, query: str, chosen: dict[str, Any], error: type[LakeError], message: str
) -> None:
    """Unknown names get the nearest; a filter that would change nothing is not taken in silence."""
    with pytest.raises(error, match=message):
        ask(four, query, **chosen)


def test_a_question_cannot_reach_beyond_the_lake(four: Lake, tmp_path: Any) -> None:
    """A question may be anybody's: it reads no file but the lake's, and changes no setting."""
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for sql in (f"from '{tmp_path}/secret.csv'", "from read_text('/etc/hostname')", f"from glob('{tmp_path}/*')"):
        question = library.read_question(f"-- title: x\n{sql}", "x", "mine/x.sql")
        with pytest.raises(LakeError, match="Cannot access file"):
            answer.answer_to(four.storage, question, {}, Filters(), location="here").relation.fetchall()
    with pytest.raises(InputError, match=r"mine/x\.sql, line 2: expected one SELECT"):
        library.read_question("-- title: x\ncopy (select 1) to 'x.csv'", "x", "mine/x.sql")


def test_one_model_alone_and_ties(lake: Lake) -> None:
    """Filters that leave one model, or none, leave an answer."""
    put(lake, "models", {"model": "a"}, {"weight_decay": [0.5]})
    assert left(lake, "models", where="weight_decay = 0.5") == ["a"]
    assert left(lake, "models", where="weight_decay = 0.25") == []
    assert left(lake, "metrics", where="accuracy > 0.5") == []
    with pytest.raises(MissingError, match="no detector yet, so not 'msp': `featurestore score` makes them"):
        left(lake, "metrics", detectors=["msp"])


@pytest.mark.parametrize(
    ("chosen", "typed"),
    [
        ({"where": "fpr95 > 5"}, '--where "fpr95 > 5"'),
        ({"where": "weight_decay > 5"}, '--where "weight_decay > 5"'),
        ({"where": "fpr95 < 0.3 and fpr95 > 0.3"}, '--where "fpr95 < 0.3 and fpr95 > 0.3"'),
        ({"models": ["d"]}, "--model d"),
        (
            {"models": ["a"], "detectors": ["vim"], "where": "accuracy > 1"},
            '--model a --detector vim --where "accuracy > 1"',
        ),
    ],
)
def test_filters_that_leave_nothing_say_so(four: Lake, chosen: dict[str, Any], typed: str) -> None:
    """What was narrowed to nothing is told from what the lake lacks, whose parameters are not blamed."""
    found = ask(four, "metrics", **chosen)
    assert found.relation.fetchall() == []
    assert found.why_empty("here") == [f"Nothing fits {typed}: without that, the answer has 24 rows."]


def test_filters_are_not_blamed_for_what_is_empty_without_them(lake: Lake) -> None:
    put(lake, "models", {"model": "a"}, {"params": [1]})
    found = ask(lake, "metrics", models=["a"])
    assert found.why_empty("here") == ["The lake at here has no metrics yet: `featurestore score` makes them."]
