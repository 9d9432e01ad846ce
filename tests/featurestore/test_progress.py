from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore import progress

if TYPE_CHECKING:
    import pytest


def test_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Seldom, on standard error: what is done, of how much, how fast, and what is left."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.progress("scores", 4000) as advance:
        for seconds in (4.0, 9.0, 10.0, 19.0, 20.0):
            now[0] = seconds
            advance(500)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "scores: 1,500 of 4,000, 150/s, 17 s left",
        "scores: 2,500 of 4,000, 125/s, 12 s left",
    ]
