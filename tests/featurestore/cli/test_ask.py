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
            "failed": "1",
            "unit_tests": "2",
            "weight_decay": "",
            "finetune_lr": "",
            "augmentation": "",
        }
    ]
    asked = ("ask", "accuracy_vs_unit_test_fpr", "--format", "json", "--lake", one_metric.location)
    assert json.loads(run(*asked, "--param", "detector=gen")[1]) == []
    assert len(json.loads(run(*asked, "--param", "detector=msp", "--param", "benchmark=main")[1])) == 1
