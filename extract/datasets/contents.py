"""Contents: the digest of each image's bytes, as the lake keeps it, and how other bytes are noticed."""

from __future__ import annotations

import hashlib
import io
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from extract.datasets.formats import FileReader, file_times
from extract.datasets.registry import container_times, open_reader
from featurestore.errors import ConflictError, LakeError
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extract.datasets.formats import Reader
    from extract.datasets.listing import Listing
    from extract.datasets.origin import Origin
    from featurestore.lake import Lake

Digests: TypeAlias = NDArray[np.uint8]
"""Shape [n, 16]; a row of zeros where the bytes could not be read."""

WIDTH = 16
_BLOCK, _THREADS = 1_024, 16
_AT_ONCE = 8 << 20
_TABLE = TABLES["contents"]


@dataclass(frozen=True, slots=True)
class Contents:
    """What the lake keeps of a dataset's bytes.

    Attributes:
        digests: Of each sample, in order.
        looked_at: Nanoseconds since 1970: what was written before is what was read.
    """

    digests: Digests
    looked_at: int

    @property
    def digest(self) -> str:
        """sha256 of the digests as hexadecimal texts, each ended by LF."""
        return hashlib.sha256("".join(f"{text or ''}\n" for text in _texts(self.digests)).encode()).hexdigest()


def unread(samples: int) -> Digests:
    """Digests of samples whose bytes nobody read."""
    return np.zeros((samples, WIDTH), np.uint8)


def digest_of(file: IO[bytes]) -> bytes:
    """The digest of a file's bytes from its beginning, to which it is set back: BLAKE2b, 16 bytes."""
    digest = hashlib.blake2b(digest_size=WIDTH)
    if isinstance(file, io.BytesIO):
        digest.update(file.getbuffer())
        return digest.digest()
    file.seek(0)
    while block := file.read(_AT_ONCE):
        digest.update(block)
    file.seek(0)
    return digest.digest()


def read_digests(reader: Reader, paths: Sequence[str]) -> Digests:
    """Read images' bytes and hash them; nothing is decoded."""
    found = unread(len(paths))
    together = getattr(reader, "together", None)
    threads = _THREADS if isinstance(reader, FileReader) else 1  # what reads containers goes forward in them
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(paths), _BLOCK):
            block = paths[start : start + _BLOCK]
            source: Reader = together(block) if together else reader
            digests = pool.map(lambda path, source=source: _digest(source, path), block)
            found[start : start + len(block)] = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, WIDTH)
    return found


def _digest(reader: Reader, path: str) -> bytes:
    try:
        with reader.open(path) as file:
            return digest_of(file)
    except Exception:  # noqa: BLE001 # what cannot be read has no digest, and extraction says why
        return bytes(WIDTH)


def read_contents(lake: Lake, name: str, dataset_digest: str) -> Contents | None:
    """The contents of a dataset as it is now; None if the lake has none, or those of other samples."""
    held = lake.partitions("contents", dataset=name)
    part = held[0].part({}) if held else None
    if part is None or part.ingredients["dataset_digest"] != dataset_digest:
        return None
    texts = lake.read("contents", dataset=name).column("digest").fill_null("0" * 2 * WIDTH).to_pylist()
    digests = np.frombuffer(bytes.fromhex("".join(texts)), np.uint8).reshape(-1, WIDTH)
    return Contents(digests, int(part.details["looked_at"]))


def write_contents(lake: Lake, name: str, dataset_digest: str, contents: Contents) -> None:
    """Write a dataset's contents; where the lake holds equal ones, only the time at which they were looked at."""
    ingredients = {"dataset_digest": dataset_digest, "contents": contents.digest}
    target = writing.Target(_TABLE, {"dataset": name}, ingredients, {})
    columns = [pa.array(np.arange(len(contents.digests))), pa.array(_texts(contents.digests), pa.string())]
    rows = pa.table(columns, schema=_TABLE.columns)
    part = target.part([writing.write_fragment(lake.storage, target, 0, rows)], {"looked_at": contents.looked_at})
    writing.commit(lake.storage, _TABLE, target.key, [part], replacing=True, dropping=lambda _: True)


def _texts(digests: Digests) -> list[str | None]:
    text, step = digests.tobytes().hex(), 2 * WIDTH
    known: NDArray[np.bool_] = np.logical_or.reduce(digests != 0, axis=1)
    return [text[step * row : step * (row + 1)] if known[row] else None for row in range(len(digests))]


def differing(found: Digests, held: Digests) -> NDArray[np.int64]:
    """The rows in which two digests differ; what could not be read, then or now, is not compared."""
    return np.flatnonzero((found != held).any(axis=1) & found.any(axis=1) & held.any(axis=1))


def check_equal(name: str, paths: Sequence[str], found: Digests, held: Digests) -> None:
    """Raise if images have other bytes than those that were read before.

    Args:
        name: The dataset's name.
        paths: The images' addresses.
        found: Their digests now.
        held: Their digests in the lake.

    Raises:
        ConflictError: Some have; names the first three.
    """
    other = differing(found, held)
    if not len(other):
        return
    first = ", ".join(paths[row] for row in other[:3]) + (", …" if len(other) > 3 else "")
    raise ConflictError(
        f"{len(other):,} images of dataset {name!r} have other bytes than those that its activations were made from, at equal "
        f"sizes ({first}). Restore them, or take the new ones with `featurestore dataset add {name} … --replace`, then "
        "`featurestore extract … --replace`."
    )


def written_since(origin: Origin, listing: Listing, time_ns: int) -> list[int]:
    """The samples whose files, or some of whose containers, were written since; those that are gone are not among them."""
    reader = open_reader(origin)
    try:
        if isinstance(reader, FileReader):
            times = file_times(reader.root, listing.paths)
            return [sample for sample, written in enumerate(times) if written is not None and written >= time_ns]
        newer = [written for written in container_times(origin) if written >= time_ns]
    except (OSError, LakeError):
        return []  # nothing is there to look at: whoever needs the images will say so
    return list(range(len(listing))) if newer else []


def check_written_since(lake: Lake, name: str, dataset_digest: str, origin: Origin, listing: Listing) -> None:
    """Look at the bytes of just those images whose files were written since the lake's contents were looked at.

    Raises:
        ConflictError: Some have other bytes.
    """
    held, now = read_contents(lake, name, dataset_digest), time.time_ns()
    newer = written_since(origin, listing, held.looked_at) if held else []
    if held is None or not newer:
        return
    paths = [listing.paths[sample] for sample in newer]
    found = read_digests(open_reader(origin), paths)
    check_equal(name, paths, found, held.digests[newer])
    if found.any(axis=1).all():  # what could not be read is looked at again
        write_contents(lake, name, dataset_digest, Contents(held.digests, now))


def taken_anew(lake: Lake, name: str, dataset_digest: str, origin: Origin, listing: Listing) -> Contents | None:
    """The contents of a dataset's images as they are now, if their bytes differ from those that the lake knows."""
    held, now = read_contents(lake, name, dataset_digest), time.time_ns()
    if held is None:
        return None
    found = read_digests(open_reader(origin), listing.paths)
    return Contents(found, now) if len(differing(found, held.digests)) else None
