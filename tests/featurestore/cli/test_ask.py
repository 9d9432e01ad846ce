from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featurestore import Lake
    from tests.conftest import Run


def test_ask_explains_each_question(run: Run, lake: Lake) -> None:
    """Title, what it answers, each parameter with its default, each column, and the SQL."""
    for name, question in lake.questions().items():
        code, out, _ = run("ask", name, "--explain")
        assert code == 0
        texts = [
            question.title,
            question.question,
            question.finding,
            question.asked_because,
            *question.columns,
            *question.columns.values(),
        ]
        assert all(text in out for text in texts)
        assert all(f"--param {p.name}={p.default}" in out for p in question.parameters.values())
        assert "from " in out


def test_ask_answers(run: Run, one_metric: Lake) -> None:
    """One row per model and detector, as csv, with a parameter, from the lake of the environment or the option."""
    code, out, err = run("ask", "accuracy_vs_unit_test_fpr", "--format", "csv", "--lake", one_metric.location)
    assert (code, err) == (0, "")
    assert list(csv.DictReader(io.StringIO(out))) == [
        {
            "model": "vit",
            "pretraining": "",
            "detector": "msp",
            "accuracy": "0.75",
            "mean_fpr95": "0.125",
            "mean_value": "0.125",
            "failed": "1",
            "unit_tests": "2",
            "fails": "",
            "undecided": "",
            "weight_decay": "",
            "finetune_lr": "",
            "augmentation": "",
        }
    ]
    asked = ("ask", "accuracy_vs_unit_test_fpr", "--format", "json", "--lake", one_metric.location)
    assert json.loads(run(*asked, "--param", "detector=gen")[1]) == []
    assert len(json.loads(run(*asked, "--param", "detector=msp", "--param", "benchmark=main")[1])) == 1


def test_a_metric_is_chosen_by_name(run: Run, one_metric: Lake) -> None:
    """Rows and their order are of that metric; a misspelt one, and a question without a choice, are refused in a sentence."""
    asked = ("ask", "accuracy_vs_unit_test_fpr", "--format", "json", "--lake", one_metric.location)
    (row,) = json.loads(run(*asked, "--metric", "auroc")[1])
    assert (row["mean_fpr95"], row["mean_value"]) == (0.125, 0.75)
    for arguments, message in (
        ((*asked, "--metric", "aurok"), "There is no metric 'aurok': did you mean 'auroc'?"),
        ((*asked, "--metric", "auroc", "--param", "metric=fpr95"), "The metric is given twice"),
        (("ask", "coverage", "--metric", "auroc", "--lake", one_metric.location), "coverage does not show one metric"),
        (("report", "out.html", "--metric", "aurok", "--lake", one_metric.location), "did you mean 'auroc'?"),
    ):
        code, out, err = run(*arguments)
        assert (code, out) == (1, "")
        assert message in err
