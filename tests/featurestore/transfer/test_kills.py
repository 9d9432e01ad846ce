"""Commands that are killed at a few random moments; `make kills` does it at many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.featurestore.storage.killing import kill_many
from tests.featurestore.transfer.verb_jobs import jobs
from tests.s3.server import real_lake

if TYPE_CHECKING:
    from pathlib import Path

LAST = -1


@pytest.mark.parametrize(("verb", "number"), [("merge", LAST), ("copy", 0), ("merge", 0)])
@pytest.mark.long
def test_a_killed_command_leaves_a_lake_and_ends_when_begun_again(tmp_path: Path, verb: str, number: int) -> None:
    """What is there after each kill is whole, and in the end all is as if nothing had been killed."""
    tally = kill_many(str(tmp_path / "lakes"), jobs(tmp_path)[verb][number], kills=6)
    assert (tally.kills, tally.differences, tally.problems) == (6, 0, [])


@pytest.mark.s3
@pytest.mark.parametrize(("verb", "number"), [("remove", 0), ("rename", 0), ("copy", 0), ("merge", 0), ("merge", LAST)])
def test_so_does_one_on_a_real_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, number: int) -> None:
    tally = kill_many(real_lake(monkeypatch), jobs(tmp_path)[verb][number], kills=3)
    assert (tally.kills, tally.differences, tally.problems) == (3, 0, [])
