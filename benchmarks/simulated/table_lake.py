"""A lake whose rows are in DuckDB alone: what is asked of it is answered by the views, macros and questions that ship."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import duckdb
import pyarrow as pa

from benchmarks.simulated.draws import DETECTORS
from featurestore import Lake
from featurestore.errors import InputError
from featurestore.layout.manifest import Manifest
from featurestore.layout.tables import TABLES
from featurestore.query import catalog

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from benchmarks.simulated.designs import Design
    from benchmarks.simulated.draws import Drawn
    from featurestore.query import Filters, SqlFile, Value

MEASURES = [name for name in TABLES["geometry"].columns.names if name not in {"role", "rows"}]
EXPECTED = "expected"
"""The OOD set that has no noise: what a question estimates of it is the truth."""
N_ID, N_OOD = 50_000, 5_879


class TableLake(Lake):
    """A lake without a folder; for simulations, which write no Parquet."""

    def __init__(self) -> None:
        super().__init__(Path("simulated"))
        self.connection = duckdb.connect(config={"threads": 1})
        catalog.create(self.connection, None)

    def put(self, table: str, columns: Mapping[str, Any]) -> None:
        """Put rows, as columns, in the place of those of a table; columns that are not named are null."""
        self.connection.execute(f"delete from stored.{table}")
        rows = pa.table(columns)
        if len(rows):
            self.connection.register("rows_to_put", rows)
            self.connection.execute(f"insert into stored.{table} by name from rows_to_put")
            self.connection.unregister("rows_to_put")

    def hold_effects(self) -> None:
        """Answer the effects from here on as they are now, so that all questions on them cost one answer."""
        self.connection.execute("drop macro table if exists temp.effects_of")
        self.connection.execute("create or replace temp table effects_held as from effects_of('fpr95')")
        self.connection.execute(
            "create temp macro effects_of(metric_, ingredient_ := null) as table "
            "from effects_held where ingredient_ is null or split_part(ingredient, '+', 1) = ingredient_"
        )

    def current(self) -> Self:
        """This lake: nothing in it is stale."""
        return self

    def partitions(self, table: str, **key: str) -> list[Manifest]:  # noqa: ARG002 # as of any lake
        """Of geometry one, so that the report shows it, and of other tables none."""
        return [Manifest(table, {}, 1, ())] if table == "geometry" else []

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The result of a SQL query."""
        return self.connection.sql(query)

    def questions(self) -> Mapping[str, SqlFile]:
        """The questions that ship."""
        return catalog.questions()

    def ask(self, question: str, filters: Filters | None = None, /, **parameters: Value) -> duckdb.DuckDBPyRelation:
        """The answer to a question.

        Raises:
            InputError: There are filters.
        """
        if filters:
            raise InputError("A simulated lake is asked without filters.")
        asked = catalog.questions()[question]
        return self.connection.sql(asked.sql, params=asked.bind(parameters) or None)


def put_design(lake: TableLake, design: Design) -> None:
    """Put the models of a pool, and the fit dataset that geometry is measured by."""
    names = sorted(set().union(*design.models))
    lake.put("models", {name: [row.get(name) for row in design.models] for name in names})
    lake.put("datasets", {"dataset": ["train"], "role": ["fit"], "benchmarks": [["main"]]})


def put_drawn(lake: TableLake, design: Design, drawn: Drawn, ood: Sequence[str]) -> None:
    """Put what was drawn: each draw is an OOD set of one benchmark, with an ID test set, and so accuracies, of its own.

    Args:
        lake: The lake.
        design: The pool.
        drawn: Its numbers.
        ood: The OOD sets, one for each draw.
    """
    models = [row["model"] for row in design.models]
    expected = drawn.expected[None]
    _put_metrics(lake, models, {name: drawn.fpr95[i] for i, name in enumerate(ood)} | {EXPECTED: expected[0]})
    lake.put(
        "accuracy",
        {
            "model": models * len(ood),
            "dataset": [f"id-{name}" for name in ood for _ in models],
            "top1": drawn.accuracy.ravel(),
        },
    )
    put_geometry(lake, design, drawn.geometry)


def put_geometry(lake: TableLake, design: Design, geometry: np.ndarray) -> None:
    """Put measures of geometry, (measures, models)."""
    models = [row["model"] for row in design.models]
    same = {name: ["train"] * len(models) for name in ("dataset", "fit_dataset")}
    lake.put("geometry", {"model": models, **same, **dict(zip(MEASURES[: len(geometry)], geometry, strict=True))})


def _put_metrics(lake: TableLake, models: Sequence[str], fpr95: Mapping[str, np.ndarray]) -> None:
    """Put the FPR of each OOD set, (detectors, models); the AUROC follows from it."""
    each = len(DETECTORS) * len(models)
    values = pa.chunked_array([pa.array(array.ravel()) for array in fpr95.values()])
    rows = len(values)
    lake.put(
        "metrics",
        {
            "model": list(models) * (len(DETECTORS) * len(fpr95)),
            "detector": [name for name in DETECTORS for _ in models] * len(fpr95),
            "ood_dataset": [name for name in fpr95 for _ in range(each)],
            "id_dataset": [f"id-{name}" for name in fpr95 for _ in range(each)],
            "fpr95": values,
            **{name: [value] * rows for name, value in _SAME.items()},
        },
    )
    lake.connection.execute(
        "update stored.metrics set auroc = 1 - fpr95 / 2, aupr_in = 1 - fpr95, aupr_out = 1 - fpr95"
    )
    lake.hold_effects()


_SAME = {"benchmark": "main", "aggregation": "class_mean", "spectrum": "standard", "n_id": N_ID, "n_ood": N_OOD}
