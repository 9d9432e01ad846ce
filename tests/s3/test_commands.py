"""The whole product on a real S3 server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from featurestore import Lake
from tests.pipeline import Commands, make_lake
from tests.s3.server import real_lake

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.s3


class S3Commands(Commands):
    """The same commands, with the lake elsewhere."""

    def __init__(self, lake: str, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.location = lake  # type: ignore[assignment]


def test_a_lake_on_s3_answers_as_a_lake_on_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Datasets, extraction, scores, questions, SQL and scans: the same numbers; and all of it cached the second time."""
    lake = real_lake(monkeypatch)
    local, remote = Commands(tmp_path, capsys, monkeypatch), S3Commands(lake, tmp_path, capsys, monkeypatch)
    for commands in (local, remote):
        make_lake(commands)
    for query in (
        ("ask", "accuracy_vs_unit_test_fpr"),
        ("ask", "best_detector"),
        ("sql", "from metrics order by all"),
        ("sql", "from accuracy order by all"),
        ("sql", "select * exclude (score, id_rank), round(score, 12) from scores order by all"),
        ("sql", "select model, dataset, sample, label from activations order by all"),
    ):
        expected, got = (json.loads(commands.ok(*query, "--format", "json")) for commands in (local, remote))
        assert expected
        assert got == expected
    assert remote.ok("score").splitlines()[-1].startswith("0 score partitions made")
    frames = [
        Lake(where).scan("metrics").sort("model", "detector", "ood_dataset", "aggregation", "ood_class").collect()
        for where in (local.location, lake)
    ]
    assert frames[0].equals(frames[1])
