from __future__ import annotations

from pathlib import Path

from extract.demo.tour import commands


def test_the_tour_is_on_the_lake_that_is_named() -> None:
    """Each command that needs a lake names it; images, models and the report stay in the folder."""
    typed = commands(Path("demo"), Path("demo/models/pool.csv"), "s3://bucket/lake")
    lakes = [arguments[arguments.index("--lake") + 1] for arguments in typed if "--lake" in arguments]
    assert set(lakes) == {"s3://bucket/lake"}
    assert [arguments[0] for arguments in typed if "--lake" not in arguments] == ["unit-tests"]
