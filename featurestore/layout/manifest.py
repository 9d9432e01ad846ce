"""The manifest: the JSON that makes a partition exist. Values and their text; no IO."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from featurestore.errors import ConflictError, CorruptionError, FormatError
from featurestore.layout import paths
from featurestore.layout.fingerprint import Ingredient, differences
from featurestore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FORMAT_VERSION = 1
"""Rises when an older reader could misread a lake; what it can pass over is added without."""
_INSIDE = re.compile(r"(?!(.*/)?\.*(/|$))(?:[a-z0-9._=@,-]|%3D)+(?:/(?:[a-z0-9._=@,-]|%3D)+)*")
"""A path of names of which none is empty or of dots alone."""
_ROWS_PER_BYTE = 64
"""No fragment has more: rows of a table are told apart by a number, of which a million take a third of a megabyte."""
_SEAL = re.compile(rb',\n "([^"\n]{8})": "([0-9a-f]{64})"\n\}')
SEAL_BYTES = 83
"""How a manifest ends: with the sha256 of all bytes before this."""
_STORED = ("table", "key", "version", "parts")
_STAMPS = ("created", "writer")


@dataclass(frozen=True, slots=True)
class Fragment:
    """One Parquet file: its path relative to the partition, its rows, bytes and sha256."""

    path: str
    rows: int
    bytes: int
    sha256: str

    def size_problem(self, size: int | None) -> str:
        """How a stored object of that size (None: no object) contradicts this, in words; or an empty text."""
        if size is None:
            return "it is missing"
        return "" if size == self.bytes else f"it has {size} bytes instead of {self.bytes}"

    def rows_problem(self, rows: int) -> str:
        """How a file of that many rows contradicts this, in words; or an empty text."""
        return "" if rows == self.rows else f"it has {rows} rows instead of {self.rows}"


@dataclass(frozen=True, slots=True)
class Part:
    """What one job commits: the whole partition, or one of its parts (one detector's scores).

    Attributes:
        key: Values of the table's part keys; empty where the partition is one part.
        fingerprint: sha256 of the table, all keys and the ingredients.
        ingredients: Everything that determines the content, by name.
        fragments: The files, in row order.
        details: What is worth knowing but determines nothing: timings, versions, warnings.
    """

    key: Mapping[str, str]
    fingerprint: str
    ingredients: Mapping[str, Ingredient]
    fragments: tuple[Fragment, ...]
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows of all fragments."""
        return sum(fragment.rows for fragment in self.fragments)

    @property
    def bytes(self) -> int:
        """Bytes of all fragments."""
        return sum(fragment.bytes for fragment in self.fragments)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One commit of one partition; one without parts says that the partition was removed, and does not exist.

    Attributes:
        noting: For each part, the index of the first part with the same note of what it rests on; empty until notes were compared.
        sealed: Whether it was read with a checksum of itself, which agreed; earlier writers wrote none.
    """

    table: str
    key: Mapping[str, str]
    version: int
    parts: tuple[Part, ...]
    created: str = ""
    writer: str = ""
    noting: tuple[int, ...] = field(default=(), compare=False, repr=False)
    sealed: bool = field(default=False, compare=False, repr=False)

    def part(self, key: Mapping[str, str]) -> Part | None:
        """The part of that key, or None."""
        return next((part for part in self.parts if dict(part.key) == dict(key)), None)

    @property
    def folder(self) -> str:
        """The partition's folder, by the manifest's own words."""
        return "/".join([self.table, *(f"{name}={paths.encoded(value)}" for name, value in self.key.items())])

    @property
    def path(self) -> str:
        """Where the manifest itself lies."""
        return f"{self.folder}/{paths.manifest_name(self.version)}"

    def files(self, part: Part) -> Iterator[tuple[str, Fragment]]:
        """A part's fragments with their keys in the storage."""
        return ((f"{self.folder}/{fragment.path}", fragment) for fragment in part.fragments)

    @property
    def title(self) -> str:
        """How messages call the partition: `activations (model vit-b, dataset ninco)`."""
        return title(self.table, self.key)


def title(table: str, key: Mapping[str, str]) -> str:
    """How messages call a partition: `activations (model vit-b, dataset ninco)`."""
    return f"{table} ({', '.join(f'{name} {value}' for name, value in key.items())})"


def merged(
    current: Manifest | None,
    table: str,
    key: Mapping[str, str],
    parts: Sequence[Part],
    *,
    replacing: bool,
    dropping: Callable[[Part], bool] | None = None,
) -> Manifest | None:
    """Plan the next commit: `current` with `parts` added or swapped in.

    Args:
        current: The partition's newest manifest, or None if the partition does not exist.
        table: The table's name.
        key: The partition's key.
        parts: What to commit.
        replacing: Whether a part with another fingerprint may be swapped.
        dropping: Which parts of `current` are to go; none by default.

    Returns:
        The manifest to create, or None if `current` holds all parts already and none is to go.

    Raises:
        ConflictError: A part exists with another fingerprint and `replacing` is false.
    """
    held = current.parts if current else ()
    kept = {tuple(part.key.items()): part for part in held if not (dropping and dropping(part))}
    changed = len(kept) < len(held)
    for part in parts:
        existing = kept.get(tuple(part.key.items()))
        if existing and existing.fingerprint == part.fingerprint:
            continue
        if existing and not replacing:
            raise conflict(table, {**key, **part.key}, existing.ingredients, part.ingredients)
        kept[tuple(part.key.items())] = part
        changed = True
    if not changed:
        return None
    return Manifest(table, dict(key), current.version + 1 if current else 1, tuple(kept.values()))


def conflict(
    table: str, key: Mapping[str, str], stored: Mapping[str, Ingredient], wanted: Mapping[str, Ingredient]
) -> ConflictError:
    """The error for a partition that exists with other ingredients; it names each that differs."""
    changes = "; ".join(differences(stored, wanted)) or "the format of the fingerprint"
    return ConflictError(
        f"The lake already holds {title(table, key)}, made with another {changes}: "
        "use another name, or --replace to swap it."
    )


def to_json(manifest: Manifest) -> bytes:
    """The manifest as the bytes to store, stamped with the time and this version, and sealed."""
    document = {"format": FORMAT_VERSION, **{name: getattr(manifest, name) for name in _STORED}}
    document |= {"created": datetime.now(UTC).isoformat(timespec="seconds"), "writer": f"featurestore {__version__}"}
    # A line for each part: what Python indents itself takes many times as long.
    parts = ",\n".join(map(_DUMPS, document.pop("parts")))
    return sealed(f'{_DUMPS(document)[:-1]},\n "parts": [\n{parts}\n]}}'.encode())


def _as_dict(value: Any) -> dict[str, Any]:
    """A dataclass or a mapping as the dictionary that JSON knows."""
    return dict(value) if isinstance(value, Mapping) else {one.name: getattr(value, one.name) for one in fields(value)}


_DUMPS = partial(json.dumps, default=_as_dict, allow_nan=False)


def sealed(text: bytes) -> bytes:
    """The text of a JSON object whose fields each begin a line, with a checksum of that text added as its last field."""
    body = text.removesuffix(b"}").rstrip()
    return b'%s,\n "checksum": "%s"\n}' % (body, hashlib.sha256(body).hexdigest().encode())


def from_json(data: bytes, path: str) -> Manifest:
    """Read a stored manifest.

    Raises:
        FormatError: It was written in a newer format.
        CorruptionError: It is not a manifest, was altered since it was written, or names a fragment outside its partition.
    """
    try:
        is_sealed = _is_sealed(data, path)
        document = json.loads(data)
        _check_format(document["format"], path)
        if "checksum" in document and not is_sealed:
            raise _altered(path)
        parts = tuple(
            Part(
                **_known(
                    Part, {**part, "fragments": tuple([Fragment(**_known(Fragment, f)) for f in part["fragments"]])}
                )
            )
            for part in document["parts"]
        )
        stamps = {name: document[name] for name in _STAMPS if name in document}
        manifest = Manifest(document["table"], document["key"], document["version"], parts, **stamps, sealed=is_sealed)
        _check_types(manifest)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptionError(f"{path} is not a manifest that featurestore wrote: {error}") from error
    for fragment in (fragment for part in parts for fragment in part.fragments):
        if not _INSIDE.fullmatch(fragment.path):
            raise CorruptionError(
                f"{path} names the fragment {fragment.path!r} outside its own partition: it was altered."
            )
        if fragment.rows > _ROWS_PER_BYTE * fragment.bytes:
            raise CorruptionError(
                f"{path} says that {fragment.path} holds {fragment.rows:,} rows in {fragment.bytes:,} bytes, which no writer "
                "stores: it is not read, since it would fill the memory."
            )
    return manifest


def _is_sealed(data: bytes, path: str) -> bool:
    """Whether a manifest ends with a checksum, which must be that of what stands before it."""
    seal = _SEAL.fullmatch(data, max(0, len(data) - SEAL_BYTES))
    if seal is None:
        return False
    if seal[1] != b"checksum" or hashlib.sha256(data[:-SEAL_BYTES]).hexdigest().encode() != seal[2]:
        raise _altered(path)
    return True


def _altered(path: str) -> CorruptionError:
    return CorruptionError(
        f"{path} was altered since it was written, its checksum differs: bring it back from a copy of the lake, or delete its "
        "partition's folder and make it again."
    )


def _check_format(found: Any, path: str) -> None:
    """Versions count from 1; within one, there may be fields and columns that are not known here."""
    if type(found) is not int or found < 1:
        raise TypeError(f"its format is {found!r}")
    if found > FORMAT_VERSION:
        raise FormatError(
            f"{path} has format version {found}, and this featurestore reads version {FORMAT_VERSION}: "
            "upgrade featurestore to read this lake."
        )


def _known(kind: type[Manifest | Part | Fragment], values: dict[str, Any]) -> dict[str, Any]:
    """The values without the fields that a newer writer of this version added."""
    fields = kind.__dataclass_fields__
    return values if values.keys() <= fields.keys() else {name: values[name] for name in values if name in fields}


def _check_types(manifest: Manifest) -> None:
    fragments = [fragment for part in manifest.parts for fragment in part.fragments]
    keys = [manifest.key, *(part.key for part in manifest.parts)]
    texts = [manifest.table, *(value for key in keys for value in key.values()), *(f.path for f in fragments)]
    texts += [*(part.fingerprint for part in manifest.parts), *(f.sha256 for f in fragments)]
    numbers = [manifest.version, *(f.rows for f in fragments), *(f.bytes for f in fragments)]
    objects = [*keys, *(of for part in manifest.parts for of in (part.ingredients, part.details))]
    if {*map(type, texts)} != {str} or {*map(type, numbers)} != {int} or {*map(type, objects)} != {dict}:
        raise TypeError("a value is not of its type")
    if min(numbers) < 0:
        raise ValueError("a number is negative")
