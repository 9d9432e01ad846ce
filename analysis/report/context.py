"""What sections work with: the lake, the benchmark, and figures and tables of what studies and questions say."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeAlias

import duckdb
import polars as pl

from analysis.charts.palette import TOLD_APART, UNKNOWN
from analysis.report.section_items import Figure, Provenance, TableView
from analysis.rows.memo import Memo
from analysis.studies.results import UNIT_TESTS, leading, most_accurate, results
from featurestore.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

    from featurestore.query import Filters, Value

# From a dataset and a sample to a picture (of Pillow's kind, with `thumbnail` and `save`), or None if it cannot be read.
OpenImage: TypeAlias = "Callable[[str, int], Any | None]"
DEFAULT_BENCHMARK = "main"
DEFAULT_METRIC = "fpr95"
_VALUE = "mean_value"


@dataclass(frozen=True)
class Context:
    """A lake to report on.

    Attributes:
        lake: The lake; it is asked the same more than once.
        benchmark: The benchmark that the report is about.
        open_image: Opens a sample's image; None where images cannot be read at all.
        rests_on: Sentences on what of it is left out because it is stale, or is partial.
        metric: What detectors are ranked by, and what tables of one metric show.
    """

    lake: Lake
    benchmark: str
    open_image: OpenImage | None = None
    rests_on: Sequence[str] = ()
    metric: str = DEFAULT_METRIC

    @cached_property
    def results(self) -> pl.DataFrame:
        """The metrics of each model, detector and OOD set, mean over OOD classes; see `analysis.studies.results`."""
        return results(self.lake, self.benchmark)

    @cached_property
    def detectors(self) -> list[str]:
        """The detectors, those with the best mean of the metric first."""
        return leading(self.results, self.metric)

    @property
    def best_detector(self) -> str:
        """The detector with the best mean of the metric."""
        return self.detectors[0]

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

    def figure(
        self,
        study: ModuleType,
        title: str,
        caption: str,
        frame: pl.DataFrame,
        *,
        filters: tuple[str, ...] = ("pretraining", "detector"),
        options: Mapping[str, str] | None = None,
    ) -> Figure:
        """A study's figure, with the detectors that its chart asks for; `options` are those of the study's command."""
        known = {"detector": self.best_detector, "detectors": self.detectors, "metric": self.metric}
        asked = known.keys() & inspect.signature(study.chart).parameters
        chart = partial(study.chart, **{key: known[key] for key in asked})
        name = study.__name__.rpartition(".")[2].replace("_", "-")
        words = "".join(f" --{key.replace('_', '-')} {value}" for key, value in self._given(options or {}).items())
        command = f"python -m {study.__name__} --lake {self.lake.location}{words}"
        provenance = Provenance(command, inspect.getsource(study), "python")
        return Figure(name, title, caption, frame, provenance, chart, filters)

    def answer(
        self, name: str, title: str, caption: str, question: str, shares: tuple[str, ...] = (), **parameters: str
    ) -> TableView:
        """The answer to a question on this benchmark as a table; an unknown pretraining is "unknown"."""
        if self.metric != DEFAULT_METRIC and "metric" in self.lake.questions()[question].parameters:
            parameters = {"metric": self.metric, **parameters}
        frame: pl.DataFrame = self.lake.ask(question, benchmark=self.benchmark, **parameters).pl()
        if _VALUE in frame.columns:
            named = f"mean_{self.metric}"
            frame = frame.drop(named, strict=False).rename({_VALUE: named})
        if "pretraining" in frame.columns:
            frame = frame.with_columns(pl.col("pretraining").fill_null(UNKNOWN))
        words = "".join(f" --param {key}={value}" for key, value in self._given(parameters).items())
        command = f"featurestore ask {question} --lake {self.lake.location}{words}"
        provenance = Provenance(command, self.lake.questions()[question].sql, "sql")
        return TableView(name, title, caption, frame, provenance, shares)

    def table(
        self, name: str, title: str, caption: str, frame: pl.DataFrame, *, query: str, shares: tuple[str, ...] = ()
    ) -> TableView:
        """A table and the SQL that it begins with."""
        command = f'featurestore sql "{query}" --lake {self.lake.location}'
        return TableView(name, title, caption, frame, Provenance(command, query, "sql"), shares)

    def _given(self, options: Mapping[str, str]) -> Mapping[str, str]:
        """The options of a command, and the benchmark where it is not the default."""
        return options if self.benchmark == DEFAULT_BENCHMARK else {"benchmark": self.benchmark, **options}


class CachingLake(Lake):
    """A lake that executes each query or question once; whoever asks it again reads the rows that were found.

    Args:
        lake: The lake.
    """

    def __init__(self, lake: Lake) -> None:
        vars(self).update(vars(lake))
        self._answers = Memo()

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The result of a SQL query, as it was when it was first asked."""
        ask = super().sql
        return self._answers.get(query, lambda: _in_memory(ask(query)))

    def ask(self, question: str, filters: Filters | None = None, /, **parameters: Value) -> duckdb.DuckDBPyRelation:
        """The answer to a question, as it was when it was first asked."""
        ask = super().ask
        key = (question, filters, *sorted(parameters.items()))
        return self._answers.get(key, lambda: _in_memory(ask(question, filters, **parameters)))


def _in_memory(answer: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    return duckdb.connect().from_arrow(answer.to_arrow_table())
