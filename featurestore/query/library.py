"""The questions that can be asked: those that come with the package, and a user's own, which are their equals."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from featurestore.errors import InputError, LakeError, one_line
from featurestore.names import pick
from featurestore.query import catalog, header

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from featurestore.query.header import SqlFile
    from featurestore.storage import Storage

FOLDER = "questions"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Library:
    """Questions by name.

    Attributes:
        questions: Those that can be asked.
        broken: What is wrong with the others.
    """

    questions: Mapping[str, SqlFile]
    broken: Mapping[str, LakeError]

    def pick(self, name: str) -> SqlFile:
        """The question of that name.

        Raises:
            MissingError: There is none; the message names the nearest.
            InputError: Its file is broken; the message gives file and line.
        """
        if name in self.broken:
            raise self.broken[name]
        return self.questions[pick("question", name, self.questions)]


def read_library(storage: Storage | None = None, folder: Path | None = None) -> Library:
    """All questions: the package's, those of a lake's folder `questions/`, and those of another folder.

    A file that is broken, or has another question's name, keeps nobody from asking the others.

    Args:
        storage: The lake's storage, on disk or not.
        folder: Another folder with files `NAME.sql`.

    Raises:
        InputError: There is no such folder.
    """
    questions = dict(catalog.questions())
    broken: dict[str, LakeError] = {}
    for name, origin, data in [*_of_folder(folder), *_of_lake(storage)]:
        try:
            if name in questions:
                raise InputError(
                    f"{origin}: {questions[name].origin} is a question of that name: give the file another."
                )
            questions[name] = _read(name, origin, data)
        except LakeError as error:
            broken[name] = error
    return Library(dict(sorted(questions.items())), broken)


def _of_folder(folder: Path | None) -> Iterator[tuple[str, str, bytes]]:
    if folder is None:
        return
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder} with questions.")
    for file in sorted(folder.glob("*.sql")):
        try:
            yield file.stem, str(file), file.read_bytes()
        except OSError as error:
            raise InputError(f"Cannot read the question {file}: {error.strerror}.") from error


def _of_lake(storage: Storage | None) -> Iterator[tuple[str, str, bytes]]:
    if storage is None:
        return
    keys = [key for key in storage.names(FOLDER) if key.endswith(".sql") and key.count("/") == 1]
    for key in sorted(keys):
        yield key.removeprefix(f"{FOLDER}/").removesuffix(".sql"), storage.uri(key), storage.get(key)


def read_question(text: str, name: str, origin: str) -> SqlFile:
    """Read a question and check its syntax.

    Args:
        text: The file's text.
        name: Its name without the ending.
        origin: Its path, for messages.

    Raises:
        InputError: The header or the SQL is broken, or is not one SELECT; the message gives file and line.
    """
    question = header.parse(text, name, origin, catalog.documented)
    try:
        statements = catalog.parser().extract_statements(question.body)
    except duckdb.Error as error:
        raise InputError(f"{question.place(str(error))}: DuckDB refuses the SQL: {one_line(error)}") from error
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise InputError(f"{question.place('LINE 1:')}: expected one SELECT after the header.")
    return question


def _read(name: str, origin: str, data: bytes) -> SqlFile:
    if not _NAME.fullmatch(name):
        raise InputError(f"{origin}: a question's file is named by a-z, 0-9 and _, beginning with a letter.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(f"{origin}, line {line}: expected text in UTF-8.") from error
    return read_question(text, name, origin)
