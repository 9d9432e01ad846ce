"""The questions that can be asked: those that come with the package, and a user's own, which are their equals."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import duckdb

from featurestore.errors import InputError, LakeError, one_line
from featurestore.names import pick
from featurestore.query import catalog
from featurestore.sql_text import SqlFiles, header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from featurestore.sql_text.header import SqlFile
    from featurestore.storage import Storage

FOLDER = "questions"
_LARGEST = 256 << 10
_DEEPEST = 200
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
        if name in self.broken and name not in self.questions:
            raise self.broken[name]
        return self.questions[pick("question", name, self.questions)]

    @property
    def remarks(self) -> list[str]:
        """Sentences on the files that are passed over: they are broken, or have the name of another question."""
        return [f"Passed over: {error}" for error in self.broken.values()]


def read_library(storage: Storage | None = None, folder: Path | None = None) -> Library:
    """All questions: the package's, those of a lake's folder `questions/`, and those of another folder.

    A file that is broken, or has another question's name, keeps nobody from asking the others, that one included: the questions that
    come with the package are what they are in every lake.

    Args:
        storage: The lake's storage, on disk or not.
        folder: Another folder with files `NAME.sql`.

    Raises:
        InputError: There is no such folder.
    """
    readers: dict[str, Callable[[], SqlFile]] = dict(catalog.questions().readers)
    broken: dict[str, LakeError] = {}
    for name, origin, content in [*_of_folder(folder), *_of_lake(storage)]:
        try:
            if name in readers:
                raise InputError(
                    f"{origin}: {readers[name]().origin} is a question of that name: give the file another."
                )
            question = _read(name, origin, content())
            readers[name] = partial(_known, question)
        except LakeError as error:
            broken[name] = error
    return Library(SqlFiles(readers), broken)


def _known(question: SqlFile) -> SqlFile:
    return question


def _of_folder(folder: Path | None) -> Iterator[tuple[str, str, Callable[[], bytes]]]:
    if folder is None:
        return
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder} with questions.")
    for file in sorted(folder.glob("*.sql")):
        yield file.stem, str(file), partial(_content, file)


def _of_lake(storage: Storage | None) -> Iterator[tuple[str, str, Callable[[], bytes]]]:
    if storage is None:
        return
    keys = [key for key in storage.names(FOLDER) if key.endswith(".sql") and key.count("/") == 1]
    for key in sorted(keys):
        content = partial(_object, storage, key) if storage.folder is None else partial(_content, storage.folder / key)
        yield key.removeprefix(f"{FOLDER}/").removesuffix(".sql"), storage.uri(key), content


def _content(file: Path) -> bytes:
    """The bytes of a file on this machine.

    Raises:
        InputError: It cannot be read, is a pipe or a device, or far too large.
    """
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{file}: a question is a file, and this is none.")
        _check_size(str(file), status.st_size)
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read the question {file}: {error.strerror}.") from error


def _object(storage: Storage, key: str) -> bytes:
    """The same of an object in a bucket."""
    _check_size(storage.uri(key), storage.size(key) or 0)
    return storage.get(key)


def _check_size(origin: str, size: int) -> None:
    if size > _LARGEST:
        raise InputError(f"{origin}: a question has at most {_LARGEST >> 10} kB; this file has {size >> 10:,} kB.")


def read_question(text: str, name: str, origin: str) -> SqlFile:
    """Read a question and check its syntax.

    Args:
        text: The file's text.
        name: Its name without the ending.
        origin: Its path, for messages.

    Raises:
        InputError: The header or the SQL is broken, or is not one SELECT; the message gives file and line.
    """
    if text.count("(") > _DEEPEST and _depth(text) > _DEEPEST:
        raise InputError(f"{origin}: a question has at most {_DEEPEST} parentheses within each other.")
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


def _depth(text: str) -> int:
    """How many parentheses stand within each other at most, in texts and comments too: DuckDB takes minutes for thousands."""
    depth = deepest = 0
    for mark in re.findall("[()]", text):
        depth = depth + 1 if mark == "(" else max(0, depth - 1)
        deepest = max(deepest, depth)
    return deepest
