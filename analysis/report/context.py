"""What sections work with: the lake, the benchmark, and answers that several of them need."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from analysis.charts.palette import TOLD_APART, UNKNOWN
from analysis.report.content import Source
from analysis.studies.results import UNIT_TESTS, leading, most_accurate, results

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from featurestore.lake import Lake

# From a dataset and a sample to a picture (of Pillow's kind, with `thumbnail` and `save`), or None if it cannot be read.
OpenImage: TypeAlias = "Callable[[str, int], Any | None]"


@dataclass(frozen=True)
class Context:
    """A lake to report on.

    Attributes:
        lake: The lake.
        benchmark: The benchmark that the report is about.
        open_image: Opens a sample's image; None where images cannot be read at all.
    """

    lake: Lake
    benchmark: str
    open_image: OpenImage | None = None
    _answers: dict[tuple[str, ...], pl.DataFrame] = field(default_factory=dict)

    def ask(self, question: str, **parameters: str) -> pl.DataFrame:
        """The answer to a question on this benchmark, asked once; an unknown pretraining is "unknown"."""
        key = (question, *(f"{name}={value}" for name, value in sorted(parameters.items())))
        if key not in self._answers:
            answer: pl.DataFrame = self.lake.ask(question, benchmark=self.benchmark, **parameters).pl()
            if "pretraining" in answer.columns:
                answer = answer.with_columns(pl.col("pretraining").fill_null(UNKNOWN))
            self._answers[key] = answer
        return self._answers[key]

    @cached_property
    def results(self) -> pl.DataFrame:
        """The metrics of each model, detector and OOD set, mean over OOD classes; see `analysis.studies.results`."""
        return results(self.lake, self.benchmark)

    @cached_property
    def detectors(self) -> list[str]:
        """The detectors, those with the lowest mean FPR first."""
        return leading(self.results)

    @property
    def first_detectors(self) -> list[str]:
        """The detectors that figures begin with: more would make them unreadable."""
        return self.detectors[:TOLD_APART]

    @cached_property
    def model(self) -> str:
        """The model that figures of one model show: the most accurate."""
        return most_accurate(self.results)

    @cached_property
    def ood(self) -> list[str]:
        """The OOD sets."""
        return sorted(set(self.results["ood_dataset"]))

    @cached_property
    def unit_tests(self) -> str | None:
        """The OOD set that holds the unit-tests: the one of that name, else the first whose name begins like it."""
        near = [name for name in self.ood if name.replace("_", "-").startswith(UNIT_TESTS.removesuffix("s"))]
        return UNIT_TESTS if UNIT_TESTS in self.ood else next(iter(near), None)

    def script(self, study: ModuleType, **options: str) -> Source:
        """The source of a study's figure."""
        given = {"benchmark": self.benchmark, **options} if self.benchmark != "main" else options
        words = [f"--{name.replace('_', '-')} {value}" for name, value in given.items()]
        command = f"python -m {study.__name__} --lake {self.lake.location} {' '.join(words)}".rstrip()
        return Source(command, inspect.getsource(study), "python")

    def question(self, name: str, **parameters: str) -> Source:
        """The source of a question's table."""
        given = {"benchmark": self.benchmark, **parameters} if self.benchmark != "main" else parameters
        words = [f"--param {key}={value}" for key, value in given.items()]
        command = f"featurestore ask {name} --lake {self.lake.location} {' '.join(words)}".rstrip()
        return Source(command, self.lake.questions()[name].sql, "sql")
