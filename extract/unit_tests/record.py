"""What a folder of unit-tests says about its own making, so that a second run continues it or refuses to mix it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from extract.unit_tests.kinds import KINDS
from extract.unit_tests.plan import FOLDER, TABLE
from featurestore.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

FINISHED = "unit_tests.json"
UNFINISHED = "unit_tests.unfinished.json"
_DIFFERENCES = {
    "seed": "of seed {}, not seed {}",
    "per_kind": "with {} images per kind, not {}",
    "images": "drawn from other images ({} then, {} now)",
    "digest": "drawn from other images (as many, but their names or sizes differ)",
}


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that determines the content of a folder of unit-tests.

    Attributes:
        seed: the seed of the pixels.
        per_kind: how many images each kind has.
        images: how many source images there were to draw from.
        digest: the digest of their names and sizes.
        kinds: the kinds in the folder, in the order of `KINDS`.
    """

    seed: int
    per_kind: int
    images: int
    digest: str
    kinds: tuple[str, ...]

    def to_json(self) -> str:
        """Write the record as JSON."""
        return json.dumps(asdict(self), indent=2) + "\n"


def read_record(path: Path) -> Record | None:
    """Read a record, or None where there is none.

    Raises:
        InputError: the file is not a record.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return Record(**{**fields, "kinds": tuple(fields["kinds"])})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise InputError(
            f"{path} cannot be read as a record of unit-tests ({error}): {_way_out(path.parent)}."
        ) from error


def reconcile(out: Path, wanted: Record) -> Record:
    """Compare what is wanted with what a folder already holds, finished or not.

    Args:
        out: the folder, which need not exist.
        wanted: what this run was asked for.

    Returns:
        The record of the folder after this run: what is wanted, and the finished kinds that are already there.

    Raises:
        InputError: the folder holds unit-tests made otherwise, or by something else.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file: name a folder to write the unit-tests into.")
    finished, unfinished = read_record(out / FINISHED), read_record(out / UNFINISHED)
    if finished is None and unfinished is None:
        for name in (FOLDER, TABLE):
            if (out / name).exists():
                raise InputError(f"{out / name} was made by something else and will not be mixed: {_way_out(out)}.")
    for found in (finished, unfinished):
        if found is not None:
            _require_same(out, found, wanted)
    there = finished.kinds if finished is not None else ()
    return replace(wanted, kinds=tuple(kind for kind in KINDS if kind in {*there, *wanted.kinds}))


def _require_same(out: Path, found: Record, wanted: Record) -> None:
    for name, difference in _DIFFERENCES.items():
        before, now = getattr(found, name), getattr(wanted, name)
        if before != now:
            raise InputError(f"{out} already holds unit-tests {difference.format(before, now)}: {_way_out(out)}.")


def _way_out(out: Path) -> str:
    return f"choose another folder, or delete {FOLDER}* and unit_tests*.json in {out}"
