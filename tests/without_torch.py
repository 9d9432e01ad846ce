"""A plugin for an environment without the GPU stage: `pytest -p tests.without_torch` skips the tests that need it, and only them.

A test needs it if the import that failed stands in `tests/` or `extract/`. One that `featurestore/` or `analysis/` asks for
fails the test: they are to run where none of it is installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

ABSENT = ("torch", "torchvision", "timm", "PIL", "safetensors", "datasets", "ray")
"""What the lake and its readers do without."""
ROOT = Path(__file__).parents[1]


def is_about_extraction(error: BaseException) -> bool:
    """Whether a module is missing that only tests and the GPU stage import."""
    if not isinstance(error, ModuleNotFoundError) or (error.name or "").partition(".")[0] not in ABSENT:
        return False
    asking = _last_file(error.__traceback__)
    return asking is not None and asking.relative_to(ROOT).parts[0] in {"tests", "extract"}


def _last_file(traceback: TracebackType | None) -> Path | None:
    """The innermost file of this repository in a traceback."""
    found = None
    while traceback is not None:
        file = Path(traceback.tb_frame.f_code.co_filename)
        found = file if file.is_relative_to(ROOT) else found
        traceback = traceback.tb_next
    return found


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    failed = report.__dict__["call"].excinfo
    error = failed and (failed.value.__cause__ or failed.value)
    if error and is_about_extraction(error):
        return pytest.CollectReport(collector.nodeid, "skipped", (str(collector.path), 0, _reason(error)), [])
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, None, None]:
    return (yield from _skipping())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    return (yield from _skipping())


def _skipping() -> Generator[None, None, None]:
    try:
        return (yield)
    except ModuleNotFoundError as error:
        if is_about_extraction(error):
            pytest.skip(_reason(error))
        raise


def _reason(error: BaseException) -> str:
    return f"Skipped: {error}"
