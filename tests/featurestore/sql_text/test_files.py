"""SQL files by name: each is read when it is asked for."""

from featurestore.query import catalog
from featurestore.sql_text import SqlFiles


def test_only_what_is_asked_for_is_read() -> None:
    """Names are known without it, in order."""
    read: list[str] = []
    question = catalog.questions()["best_detector"]
    files = SqlFiles({name: lambda name=name: read.append(name) or question for name in ("b", "a")})  # type: ignore[misc]
    assert list(files) == ["a", "b"]
    assert len(files) == 2
    assert "a" in files
    assert "c" not in files
    assert read == []
    assert files["b"] is question
    assert read == ["b"]
