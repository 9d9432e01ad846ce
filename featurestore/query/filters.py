"""Filters that every question takes: they narrow the views that a question reads, before it reads them.

A condition acts on each view that has all its columns; on a view that names models, through the models that are left; on
`metrics`, through the rows of `results` that are left. One that would act on nothing is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from featurestore.errors import InputError, MissingError, one_line
from featurestore.layout.tables import RECIPE_COLUMNS, TABLES
from featurestore.names import nearest, pick
from featurestore.query import catalog
from featurestore.query.conditions import conditions
from featurestore.sql_text import quote

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from featurestore.query.conditions import Condition

PUBLISHED = "published"
SPECTRA = "spectra"
_OF_RESULTS = {"metrics", SPECTRA, "selective", "oscr"}
"""The views of which a row stays where a result of the same model and detector does."""
_NARROWED = TABLES.keys() | _OF_RESULTS
_ROW = ("benchmark", "model", "detector", "ood_dataset", "ood_class", "aggregation")
"""What tells a row of `metrics` from the others."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a question is narrowed to.

    Attributes:
        models: Only these models; all if empty.
        detectors: Only these detectors; all if empty.
        where: A condition on columns of `models` and `results`; none if empty.
    """

    models: Sequence[str] = ()
    detectors: Sequence[str] = ()
    where: str = ""

    def __bool__(self) -> bool:
        return bool(self.models or self.detectors or self.where)

    @property
    def as_typed(self) -> str:
        """The options that say it."""
        chosen = (("model", self.models), ("detector", self.detectors))
        named = [f"--{option} {name}" for option, names in chosen for name in names]
        return " ".join([*named, *[f'--where "{self.where}"'] * bool(self.where)])


def needed(filters: Filters, reads: Iterable[str]) -> set[str]:
    """The views that a connection must have for the filters, beside those that the question reads."""
    if not filters or not set(reads) & _NARROWED:
        return set()
    if filters.where:
        return {"models", "results"}
    return {"models"} if filters.models else set()


def narrow(
    connection: duckdb.DuckDBPyConnection, reads: Iterable[str], filters: Filters, in_part: Collection[str] = ()
) -> list[str]:
    """Put narrower views in the place of those that a question reads.

    Args:
        connection: A connection with those views, and with the ones that are `needed`.
        reads: The views that the question reads, directly or through others.
        filters: What to narrow them to.
        in_part: The tables of which the connection reads only some rows.

    Returns:
        Sentences on what was left out because nothing is known of it.

    Raises:
        MissingError: A model or detector is not there; the message names the nearest.
        InputError: The condition is not one, or acts on nothing that the question reads.
    """
    if not filters:
        return []
    narrowing = _Narrowing(connection, reads, in_part)
    for column, names in (("model", filters.models), ("detector", filters.detectors)):
        if names:
            narrowing.to_names(column, names)
    if filters.where:
        for condition in conditions(filters.where, narrowing.known_columns):
            narrowing.to_condition(condition)
    narrowing.apply()
    return narrowing.notes


class _Narrowing:
    """Collects conditions on views; looks at the whole views until `apply` replaces them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, reads: Iterable[str], in_part: Collection[str]) -> None:
        self._connection = connection
        self._in_part = in_part
        reads = set(reads)
        self._views = sorted(reads & _NARROWED) or sorted(reads & {PUBLISHED})
        # Beside a lake's, published numbers are narrowed by what both have names for: detectors.
        self._beside = sorted(reads & {PUBLISHED} - set(self._views))
        self._sql: dict[str, list[str]] = {view: [] for view in [*self._views, *self._beside]}
        self._kept = 0
        self.notes: list[str] = []

    @property
    def known_columns(self) -> set[str]:
        """The columns that a condition may name."""
        return _columns(PUBLISHED) if self._views == [PUBLISHED] else _columns("models") | _columns("results")

    def to_names(self, column: str, names: Sequence[str]) -> None:
        """Keep the rows of these models or detectors."""
        views = [view for view in self._views if column in _columns(view)]
        if not views:
            raise InputError(f"--{column} chooses nothing here: the question reads no {column}s.")
        naming = self._naming(column, views)
        if not all(any(self._holds(view, column, name) for view in naming) for name in names):
            self._refuse(column, names, naming)
        for view in [*views, *(self._beside if column == "detector" else ())]:
            self._sql[view].append(f"{column} in ({_literals(names)})")

    def _holds(self, view: str, column: str, name: str) -> bool:
        """Whether a view has a row of that name: told sooner than which names it has."""
        source = catalog.naming(view, column, self._in_part)
        return bool(self._rows(f"select 1 from {source} where {column} = {quote(name)} limit 1"))

    def _refuse(self, column: str, names: Sequence[str], naming: Sequence[str]) -> None:
        """Say which name there is not, and which is the nearest."""
        sources = [catalog.naming(view, column, self._in_part) for view in naming]
        known = {str(name) for source in sources for (name,) in self._rows(f"select distinct {column} from {source}")}
        if not known:
            maker = "extract" if column == "model" else "score"
            raise MissingError(f"The lake has no {column} yet, so not {names[0]!r}: `featurestore {maker}` makes them.")
        for name in names:
            pick(column, name, known)

    def to_condition(self, condition: Condition) -> None:
        """Keep the rows for which a condition holds."""
        if self._views == [PUBLISHED]:
            self._check(condition, PUBLISHED)
            self._sql[PUBLISHED].append(condition.sql)
        elif condition.columns <= _columns("models"):
            self._to_models(condition)
        else:
            self._to_results(condition)

    def apply(self) -> None:
        """Replace the views."""
        for view, parts in self._sql.items():
            if parts:
                whole = f"select * from (\n{catalog.views()[view].sql}\n) as {view}"
                self._connection.execute(f"create or replace view {view} as {whole} where {' and '.join(parts)}")

    def _naming(self, column: str, views: Sequence[str]) -> Sequence[str]:
        """The views that tell cheaply which models or detectors there are."""
        if self._views == [PUBLISHED]:
            return [PUBLISHED]
        cheap = ["models"] * (column == "model") + [view for view in views if view == "metrics"]
        return cheap or views[:1]

    def _to_models(self, condition: Condition) -> None:
        """A condition on what a model is: on all that is known of the models for which it holds."""
        self._check(condition, "models")
        self._note(condition, "models")
        views = [view for view in self._views if "model" in _columns(view)]
        if not views:
            raise self._idle(condition)
        models = [name for (name,) in self._rows(f"select model from models where {condition.sql}")]
        for view in views:
            self._sql[view].append(f"model in ({_literals(models)})" if models else "false")

    def _to_results(self, condition: Condition) -> None:
        """A condition on results: on those for which it holds, and on what they are results of."""
        source = self._results_with(condition.columns)
        self._check(condition, source)
        self._note(condition, source)
        kept = f"stored.kept_{self._kept}"
        self._kept += 1
        self._connection.execute(f"create table {kept} as select {', '.join(_ROW)} from {source} where {condition.sql}")
        parts = {view: part for view in self._views if (part := _part(view, condition, kept))}
        if not parts:
            raise self._idle(condition)
        for view, part in parts.items():
            self._sql[view].append(part)

    def _results_with(self, columns: Iterable[str]) -> str:
        """`results`, read once, with those columns of `models` that it lacks."""
        if not self._kept:
            self._connection.execute("create table stored.whole as from results")
        more = sorted(set(columns) - _columns("results"))
        if not more:
            return "stored.whole"
        names = ", ".join(f"models.{column}" for column in more)
        return f"(select whole.*, {names} from stored.whole as whole left join models on models.model = whole.model)"

    def _check(self, condition: Condition, source: str) -> None:
        """Refuse a condition that is neither true nor false."""
        try:
            relation = self._connection.sql(f"select {condition.sql} as holds from {source}")
            is_boolean = str(relation.types[0]) == "BOOLEAN"
            relation.aggregate("count(holds)").fetchall()
        except duckdb.Error as error:
            raise InputError(f"--where cannot be {condition.sql}: {one_line(error)}") from error
        if not is_boolean:
            raise InputError(f"--where takes what is true or false, and {condition.sql} is a value: compare it.")

    def _note(self, condition: Condition, source: str) -> None:
        """Say how many models are left out because their recipe or accuracy is not known."""
        unsure = sorted(condition.columns & {*RECIPE_COLUMNS, "accuracy"})
        if not unsure:
            return
        unknown = " or ".join(f"{column} is null" for column in unsure)
        left_out, models = self._rows(
            f"select count(distinct model) filter (where {condition.sql} is null and ({unknown})), count(distinct model) from {source}"
        )[0]
        if left_out:
            self.notes.append(
                f"{left_out:,} of {models:,} models left out by {condition.sql}: their {' or '.join(unsure)} is not known."
            )

    def _idle(self, condition: Condition) -> InputError:
        columns = sorted({column for view in self._views for column in _columns(view)} & self.known_columns)
        return InputError(
            f"--where {condition.sql} changes nothing that the question reads, which is {', '.join(self._views) or 'no table'}: "
            f"{nearest('', columns)}"
        )

    def _rows(self, sql: str) -> list[tuple[object, ...]]:
        return self._connection.execute(sql).fetchall()


def _part(view: str, condition: Condition, kept: str) -> str | None:
    """How a condition on results narrows a view; None if it says nothing about it."""
    if condition.columns <= _columns(view):
        return condition.sql
    if view in _OF_RESULTS:
        return _among(view, [column for column in _ROW if column in _columns(view)], kept)
    about = _columns("models") | {"benchmark", "detector", "accuracy"}
    if condition.columns <= about and "model" in _columns(view):
        key = [column for column in ("benchmark", "model", "detector") if column in _columns(view)]
        return _among(view, key, kept)
    return None


def _among(view: str, key: Iterable[str], kept: str) -> str:
    alike = " and ".join(f"kept.{column} is not distinct from {view}.{column}" for column in key)
    return f"exists (from {kept} as kept where {alike})"


def _columns(view: str) -> set[str]:
    return set(catalog.views()[view].columns)


def _literals(names: Iterable[object]) -> str:
    return ", ".join(quote(str(name)) for name in names)
