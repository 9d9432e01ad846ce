"""What tests of the report share: a page of a made-up lake, and what it says."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from analysis.report import write_report
from benchmarks.lakes.random_scores import Shape, make

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Pages = Callable[[Shape], str]


def page_of(folder: Path, shape: Shape, **options: Any) -> str:
    write_report(make(folder / "lake", shape), folder / "out.html", **options)
    return (folder / "out.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """The page of a made-up lake, which is made once: that takes seconds."""
    made: dict[str, str] = {}

    def page(shape: Shape) -> str:
        name = repr(shape)
        if name not in made:
            made[name] = page_of(tmp_path_factory.mktemp("page"), shape)
        return made[name]

    return page


def payload(page: str) -> dict[str, Any]:
    match = re.search(r'<script type="application/json" id="payload">(.*?)</script>', page, re.DOTALL)
    assert match
    return json.loads(match[1])


def said(page: str) -> str:
    """The page's text without scripts, styles and markup."""
    body = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", body)).split())
