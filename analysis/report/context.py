"""What sections work with: the lake, the benchmark, and figures and tables of what studies and questions say."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import duckdb
import polars as pl

from analysis.charts.palette import TOLD_APART, UNKNOWN
from analysis.report.section_items import Figure, TableView
from analysis.rows.memo import Memo
from analysis.studies.results import UNIT_TESTS, leading, most_accurate, results
from featurestore.lake import Lake
from featurestore.query import fetch_arrow
from featurestore.sql_text import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import Self

    from featurestore.query import Filters, Value

# From a dataset and a sample to a picture (of Pillow's kind, with `thumbnail` and `save`), or None if it cannot be read.
OpenImage: TypeAlias = "Callable[[str, int], Any | None]"
Read = TypeVar("Read")
DEFAULT_BENCHMARK = "main"
DEFAULT_METRIC = "fpr95"
_VALUE = "mean_value"


@dataclass(frozen=True)
class Context:
    """A lake to report on.

    Attributes:
        lake: The lake.
        benchmark: The benchmark that the report is about.
        open_image: Opens a sample's image; None where images cannot be read at all.
        rests_on: Sentences on what of it is left out because it is stale, or is partial.
        metric: What detectors are ranked by, and what tables of one metric show.
        digest: sha256 over the fingerprints of what is reported.
    """

    lake: CachingLake
    benchmark: str
    open_image: OpenImage | None = None
    rests_on: Sequence[str] = ()
    metric: str = DEFAULT_METRIC
    digest: str = ""

    @property
    def results(self) -> pl.DataFrame:
        """The metrics of each model, detector and OOD set, mean over OOD classes; see `analysis.studies.results`."""
        return self.lake.once(results, self.benchmark)

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
        read: Callable[[], pl.DataFrame] | None = None,
        *,
        filters: tuple[str, ...] = ("pretraining", "detector"),
        **options: str,
    ) -> Figure:
        """A study's figure, with the detectors that its chart asks for.

        Args:
            study: The study.
            title: Its heading.
            caption: How to read it.
            read: Gives the study's frame, where parts of it are read already; by default the study's `data`.
            filters: The columns that the page's filter applies to.
            options: Those of the study's `data`, which are those of its command, too.
        """
        frame, sql = self.lake.noting(read or partial(study.data, self.lake, self.benchmark, **options))
        known = {"detector": self.best_detector, "detectors": self.detectors, "metric": self.metric}
        asked = known.keys() & inspect.signature(study.chart).parameters
        chart = partial(study.chart, **{key: known[key] for key in asked})
        name = study.__name__.rpartition(".")[2].replace("_", "-")
        given = options if self.benchmark == DEFAULT_BENCHMARK else {"benchmark": self.benchmark, **options}
        words = "".join(f" --{key.replace('_', '-')} {value}" for key, value in given.items())
        command = f"python -m {study.__name__} --lake {self.lake.location}{words}"
        return Figure(name, title, caption, frame, sql, chart, filters, command)

    def answer(
        self, name: str, title: str, caption: str, question: str, shares: tuple[str, ...] = (), **parameters: str
    ) -> TableView:
        """The answer to a question on this benchmark as a table; an unknown pretraining is "unknown"."""
        if "metric" in self.lake.questions()[question].parameters:
            parameters = {"metric": self.metric, **parameters}
        answered, sql = self.lake.noting(lambda: self.lake.ask(question, benchmark=self.benchmark, **parameters))
        frame: pl.DataFrame = answered.pl()
        if _VALUE in frame.columns:
            named = f"mean_{self.metric}"
            frame = frame.drop(named, strict=False).rename({_VALUE: named})
        if "pretraining" in frame.columns:
            frame = frame.with_columns(pl.col("pretraining").fill_null(UNKNOWN))
        return TableView(name, title, caption, frame, sql, shares)


class CachingLake(Lake):
    """A lake that executes each query or question once, and notes them; whoever asks it again reads the rows that were found.

    Args:
        lake: The lake, without what is stale.
    """

    def __init__(self, lake: Lake) -> None:
        vars(self).update(vars(lake))
        self._answers = Memo()
        self._memory = duckdb.connect()
        self._noted: dict[str, None] = {}

    def current(self) -> Self:
        """This lake."""
        return self

    def noting(self, read: Callable[[], Read]) -> tuple[Read, list[str]]:
        """What is read, and the SQL that says the same: statements that `featurestore sql` runs as they stand."""
        before, self._noted = self._noted, {}
        try:
            return read(), list(self._noted)
        finally:
            self._noted = before | self._noted

    def once(self, read: Callable[..., Read], *arguments: str) -> Read:
        """The value of a function of this lake and further arguments, which is called once and then remembered."""
        found, sql = self._answers.get((read, arguments), lambda: self.noting(lambda: read(self, *arguments)))
        self._noted |= dict.fromkeys(sql)
        result: Read = found
        return result

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The result of a SQL query, as it was when it was first asked."""
        ask = super().sql
        self._noted[" ".join(query.split())] = None
        return self._answers.get(query, lambda: self._kept(ask(query)))

    def ask(self, question: str, filters: Filters | None = None, /, **parameters: Value) -> duckdb.DuckDBPyRelation:
        """The answer to a question, as it was when it was first asked."""
        ask = super().ask
        defaults = {name: known.default for name, known in self.questions()[question].parameters.items()}
        given = {name: value for name, value in parameters.items() if value != defaults[name]}
        self._noted[
            f"from {question}({', '.join(f'{name}_ := {_literal(value)}' for name, value in given.items())})"
        ] = None
        key = (question, filters, *sorted(parameters.items()))
        return self._answers.get(key, lambda: self._kept(ask(question, filters, **parameters)))

    def scan(self, table: str, **key: str) -> pl.LazyFrame:
        """A table's rows as a LazyFrame."""
        where = " and ".join(f"{name} = {_literal(value)}" for name, value in key.items())
        self._noted[f"from {table}{f' where {where}' if key else ''}"] = None
        return super().scan(table, **key)

    def _kept(self, answer: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
        """An answer's rows in memory, where all of a report's are: to open a database takes longer than most answers."""
        return self._memory.cursor().from_arrow(fetch_arrow(answer, "a query of the report"))


def _literal(value: Value) -> str:
    return quote(value) if isinstance(value, str) else str(value)
