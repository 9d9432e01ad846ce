"""The lake as users hold it: its rows, and what can be asked of them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from featurestore import overview
from featurestore.held import ALL, OF_SAMPLES, Held, complaints
from featurestore.stored_lake import StoredLake, warn_stale

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import duckdb

    from featurestore.query import Filters, Library, SqlFile, Value


class Lake(StoredLake):
    """A folder or bucket prefix that holds all tables of a study.

    Args:
        location: A folder, or a URL such as `s3://bucket/lake`; by default `$FEATURESTORE_LAKE`, else what
            `featurestore.toml` names, else `./lake`.

    Raises:
        InputError: The location is a file, a URL of an unknown kind, or below a folder such as `model=vit-b`, which
            every reader would take for a column.
    """

    def _repr_html_(self) -> str:
        """What a notebook shows: what each table holds."""
        return overview.as_html(self.storage)

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection in memory with every view over this lake, as it is now.

        Warns:
            StaleWarning: Something of it is stale, mixed or partial.
        """
        from featurestore.query import catalog  # slow to import, as DuckDB is, and jobs do without

        self.check_exists()
        overview.show_answers()
        held = Held(self.storage)
        connection = catalog.connect(self.storage, held=held, without=self._without)
        warn_stale(complaints(held, ALL, without=self._without))
        return connection

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The result of a SQL query over the views.

        Args:
            query: One statement; `connect` gives a connection that runs several.

        Raises:
            InputError: DuckDB refuses the query, it is not one statement, or it returns no rows.

        Warns:
            StaleWarning: Something that it reads is stale, mixed or partial.
        """
        from featurestore.query import statements

        self.check_exists()
        overview.show_answers()
        held = Held(self.storage)
        connection = statements.connect_for(self.storage, query, held, self._without)
        warn_stale(statements.rests_on(held, query, self._without))
        return statements.result(connection, query, self.location)

    def library(self, folder: str | os.PathLike[str] | None = None) -> Library:
        """The questions that come with the package, those in the lake's folder `questions/`, and those of another folder.

        Args:
            folder: A folder with files `NAME.sql`.

        Raises:
            InputError: There is no such folder.
            StorageError: The lake's store cannot be reached.
        """
        from pathlib import Path

        from featurestore.query import read_library

        return read_library(self.storage, None if folder is None else Path(folder))

    def questions(self) -> Mapping[str, SqlFile]:
        """What can be asked: name, title, parameters and columns of each question, the lake's own ones too.

        Warns:
            UserWarning: A file of the lake's folder `questions/` is no question; says why.
        """
        found = self.library()
        for error in found.broken.values():
            warnings.warn(str(error), stacklevel=2)
        return found.questions

    def ask(self, question: str, filters: Filters | None = None, /, **parameters: Value) -> duckdb.DuckDBPyRelation:
        """The answer to a question: a relation, which `.pl()` makes a polars frame and `.arrow()` Arrow's batches.

        Args:
            question: Its name; see `questions`.
            filters: Narrow the models, detectors and results that it is asked of.
            parameters: Values for its parameters; the others keep their defaults.

        Raises:
            MissingError: No question, no parameter of it, or no model or detector of the lake has that name.
            InputError: A parameter's value or a filter cannot be used, or the question's file is broken.

        Warns:
            UserWarning: Models are left out because what a filter goes by is not known of them.
            StaleWarning: Something that it reads is stale, mixed or partial; stale rows of single samples are left out.
        """
        from featurestore.query import Filters, answer_to

        found = self.library().pick(question)
        self.check_exists()
        overview.show_answers()
        without = self._without | OF_SAMPLES
        asked = (self.storage, found, parameters, filters or Filters())
        answered = answer_to(*asked, location=self.location, without=without)
        warn_stale(answered.rests_on)
        for note in answered.notes:
            warnings.warn(note, stacklevel=2)
        return answered.relation
