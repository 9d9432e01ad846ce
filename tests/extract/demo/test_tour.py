from __future__ import annotations

from pathlib import Path

from extract.demo.tour import commands, ideas, print_ideas
from featurestore.cli.app import root


def test_the_tour_is_on_the_lake_that_is_named() -> None:
    """Each command that needs a lake names it; images, models and the report stay in the folder."""
    typed = commands(Path("demo"), Path("demo/models/pool.csv"), "s3://bucket/lake")
    lakes = [arguments[arguments.index("--lake") + 1] for arguments in typed if "--lake" in arguments]
    assert set(lakes) == {"s3://bucket/lake"}
    assert [arguments[0] for arguments in typed if "--lake" not in arguments] == ["unit-tests"]


def test_the_tour_ends_with_three_things_that_can_be_tried() -> None:
    """The two that are commands have options that there are, and the lake's name."""
    said: list[str] = []
    print_ideas(7.2, Path("demo/report.html"), ideas(Path("demo")), "s3://bucket/lake", said.append)
    assert said[:2] == ["\nDone in 7 s. Three things to try:", "  open demo/report.html in a browser"]
    for line in said[2:]:
        name, *arguments = line.split()[1:]
        assert root().commands[name].make_context(name, arguments).params["lake"] == "s3://bucket/lake"
    assert len(said) == 4
