"""Asking: a question with its parameters and filters, on a connection that reads the lake and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import duckdb

from featurestore.errors import InputError
from featurestore.held import OF_SAMPLES, Held, complaints
from featurestore.layout.tables import TABLES
from featurestore.names import nearest
from featurestore.query import catalog, filters
from featurestore.query.filters import Filters
from featurestore.query.statements import fetch_values, question_result
from featurestore.sql_text import quote, sql_list

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from featurestore.sql_text.header import SqlFile, Value
    from featurestore.storage import Storage

_MADE_BY = {
    "datasets": "dataset add",
    "samples": "dataset add",
    **dict.fromkeys(("models", "activations", "heads", "contents"), "extract"),
}
_ALL = Filters()
_WIDE_VALUES = ("all", "any", "")
_COLUMN_OF = {"unit_tests": "ood_dataset", "ood": "ood_dataset"}
_SEEN = "seen_classes"
_OOD_SETS = (
    "select dataset, classes from datasets where role = 'ood' and list_contains(benchmarks, $1) order by dataset"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question was answered with.

    Attributes:
        relation: The rows; DuckDB computes them when they are fetched.
        notes: Sentences on what was left out.
        chosen: What it was narrowed to.
        without: Asks the same of all models and results.
        rests_on: Sentences on what is stale, mixed or partial of what it reads.
        remarks: Sentences on what its columns say of the OOD sets, for those who read on.
        read_in_part: The tables of which only the rows that its parameters choose are read.
    """

    question: SqlFile
    parameters: Mapping[str, Value]
    connection: duckdb.DuckDBPyConnection
    relation: duckdb.DuckDBPyRelation
    notes: Sequence[str]
    chosen: Filters
    without: Callable[[], Answer]
    rests_on: Sequence[str] = ()
    remarks: Sequence[str] = ()
    read_in_part: Collection[str] = ()

    def why_empty(self, location: str) -> list[str]:
        """Sentences that help where the answer has no rows: what the lake lacks, which value it does not know, or what was narrowed to nothing."""
        if self.chosen:
            whole = self.without()
            rows = len(fetch_values(whole.relation, f"the question {self.question.origin}")[2])
            if not rows:
                return whole.why_empty(location)
            return [
                f"Nothing fits {self.chosen.as_typed}: without that, the answer has {rows:,} row{'s' * (rows > 1)}."
            ]
        read = sorted(catalog.views_behind(self.question.sql) & TABLES.keys() - {"failures", "benchmarks"})
        lacking: dict[str, list[str]] = {"dataset add": [], "extract": [], "score": []}
        for table in read:
            held = f"stored.names where stored = {quote(table)}" if table in self.read_in_part else f"stored.{table}"
            if not self.connection.execute(f"select 1 from {held} limit 1").fetchall():
                lacking[_MADE_BY.get(table, "score")].append(table)
        lines = [
            f"The lake at {location} has no {' and no '.join(tables)} yet: `featurestore {maker}` makes them."
            for maker, tables in lacking.items()
            if tables
        ]
        if filters.SPECTRA in catalog.views_behind(self.question.sql) and not lines and self._lacks_full_spectrum():
            said = f"The lake at {location} has no metrics of the full spectrum, which has ID sets under a shift"
            lines = [f"{said}: add them with `featurestore dataset add … --role csid`, then extract and score them."]
        unknown = [line for name, value in self.parameters.items() for line in self._unknown(name, value, read)]
        return (
            lines
            or unknown
            or [f"Nothing in it fits: `featurestore ask {self.question.name} --explain` tells what is asked for."]
        )

    def _lacks_full_spectrum(self) -> bool:
        """Whether it asks for metrics of the full spectrum, and there are none."""
        if self.parameters.get("spectrum", "full") != "full":
            return False
        return not self.connection.execute("select 1 from stored.metrics where spectrum = 'full' limit 1").fetchall()

    def _unknown(self, parameter: str, value: Value, read: Sequence[str]) -> list[str]:
        """Whether a parameter that chooses by name has a value that the lake knows."""
        if not isinstance(value, str) or value in _WIDE_VALUES:
            return []
        for view, column, condition in self._naming(parameter, read):
            # One row is soon found; all names are gathered only where it is not.
            rows = f"from {catalog.naming(view, column, self.read_in_part)} where {condition} and"
            if self.connection.execute(f"select 1 {rows} {column}::varchar = $1 limit 1", [value]).fetchall():
                return []
            known = self.connection.execute(f"select distinct {column} {rows} {column} is not null").fetchall()
            return [f"There is no {column} {value!r} in {view}: {nearest(value, (str(name) for (name,) in known))}"]
        return []

    def _naming(self, parameter: str, read: Sequence[str]) -> Iterator[tuple[str, str, str]]:
        """Where the names stand that a parameter chooses from, the best first: view, column and condition."""
        column = _COLUMN_OF.get(parameter, parameter)
        for view in sorted(read, key=lambda view: view != "metrics"):
            if column in catalog.views()[view].columns:
                yield view, column, "true"
        # A question of single scores names OOD sets as datasets, and their classes as those of samples.
        if column == "ood_dataset" and "datasets" in read:
            yield "datasets", "dataset", "role = 'ood'"
        if column == "ood_class" and "samples" in read:
            yield "samples", "class_name", f"dataset = {quote(str(self.parameters.get('ood', '')))}"


def answer_to(
    storage: Storage | None,
    question: SqlFile,
    parameters: Mapping[str, Value],
    chosen: Filters = _ALL,
    *,
    location: str = "",
    without: Collection[str] = OF_SAMPLES,
) -> Answer:
    """Ask a question of a lake, or of the published numbers alone.

    Args:
        storage: The lake's storage; None for the published numbers, which need no lake.
        question: The question.
        parameters: Values for its parameters; the others keep their defaults.
        chosen: What it is narrowed to.
        location: The lake, for messages.
        without: The tables of which stale parts are left out; by default those whose rows are of single samples.

    Raises:
        MissingError: A parameter, model or detector is not there.
        InputError: A value or a condition cannot be used, or DuckDB refuses the question; the message gives file and line.
        StorageError: The lake cannot be read.
    """
    given = {**_implied(question, chosen), **parameters}
    bound = question.bind(given)
    reads = catalog.views_behind(question.sql)
    if storage is None and not needs_no_lake(question):
        lacking = ", ".join(sorted(reads - {filters.PUBLISHED})) or "more than published numbers"
        raise InputError(f"{question.name} needs {lacking}, which only a lake has: ask it without --published.")
    held = Held(storage) if storage else None
    needed = catalog.named_in(question.sql) | filters.needed(chosen, reads)
    part = question.chosen(bound)
    connection = catalog.connect(storage, needed, held, without, part)
    rests_on = complaints(held, reads, chosen.models, without) if held else []
    try:
        notes = filters.narrow(connection, reads, chosen, part)
        remarks = _seen(connection, bound) if _SEEN in reads else []
    except duckdb.Error as error:
        raise catalog.unreadable(error, location) from error
    _lock(connection, held.readable if held else [])
    relation = question_result(connection, question, bound, location)
    unnarrowed = partial(answer_to, storage, question, given, location=location, without=without)
    return Answer(question, bound, connection, relation, notes, chosen, unnarrowed, rests_on, remarks, tuple(part))


def _seen(connection: duckdb.DuckDBPyConnection, parameters: Mapping[str, Value]) -> list[str]:
    """Sentences on the OOD sets of a benchmark: how many of their classes a pretraining has seen, or that nothing is said of it."""
    sets = connection.execute(_OOD_SETS, [parameters.get("benchmark", "main")]).fetchall()
    said = connection.execute(f"select dataset, pretraining, count(ood_class) from {_SEEN} group by all order by all")
    seen = [(ood, data, count) for ood, data, count in said.fetchall() if ood in dict(sets)]
    lines = [
        f"{data} has {count} of the {dict(sets)[ood]} classes of {ood}: to models that were pretrained on it, these are not new."
        for ood, data, count in seen
        if count
    ]
    untold = sorted(dict(sets).keys() - {ood for ood, _, _ in seen})
    if untold:
        lines.append(
            f"Of {', '.join(untold)} nothing is said of which classes a pretraining has seen: "
            "`featurestore dataset set NAME --seen-in DATA` says it."
        )
    return lines


def _implied(question: SqlFile, chosen: Filters) -> dict[str, Value]:
    """Parameters that follow from filters: a question of one detector that is narrowed to another is asked of that one."""
    found = {"model": chosen.models, "detector": chosen.detectors}
    return {name: names[0] for name, names in found.items() if len(names) == 1 and name in question.parameters}


def needs_no_lake(question: SqlFile) -> bool:
    """Whether published numbers are all that a question reads."""
    return catalog.views_behind(question.sql) == {filters.PUBLISHED}


def _lock(connection: duckdb.DuckDBPyConnection, folders: Sequence[str]) -> None:
    """Keep a question, which may be anybody's, from all files but the lake's."""
    connection.execute(f"set allowed_directories = {sql_list(folders)}")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
