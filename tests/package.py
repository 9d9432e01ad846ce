"""What the wheel and the source archive hold, against what git holds; `python -m tests.package FOLDER` looks at those in a folder."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[1]
PACKAGES = ("analysis", "extract", "featurestore", "sql")
EXTRAS = {"analysis", "demo", "extract", "hf", "ray", "report"}
LARGEST = {".whl": 2_000_000, ".gz": 2_000_000}
"""Bytes: more of them would be a picture, a lake or weights that nobody needs."""


def tracked(*folders: str) -> set[str]:
    """The files of the repository that git knows, below some folders."""
    listed = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(listed.stdout.split())


def problems_of_wheel(file: Path) -> list[str]:
    """What is wrong with a wheel: files that lack or are too many, and what its metadata says."""
    with zipfile.ZipFile(file) as archive:
        inside = set(archive.namelist())
        about = {name for name in inside if name.partition("/")[0].endswith(".dist-info")}
        (metadata,) = [archive.read(name) for name in about if name.endswith("/METADATA")]
        entry = next(archive.read(name).decode() for name in about if name.endswith("/entry_points.txt"))
    found = _differences(inside - about, tracked(*PACKAGES))
    message = message_from_bytes(metadata)
    extras = set(message.get_all("Provides-Extra", []))
    if message["Version"] != __version__:
        found.append(f"it is version {message['Version']}, and the code {__version__}")
    if extras != EXTRAS:
        found.append(f"its extras are {sorted(extras)}")
    if "featurestore = featurestore.__main__:main" not in entry:
        found.append("it has no command")
    return found + _size(file)


def problems_of_source(file: Path) -> list[str]:
    """What is wrong with a source archive: it holds what a wheel is made from, the tests, and the pages without their pictures."""
    with tarfile.open(file) as archive:
        inside = {member.name.partition("/")[2] for member in archive if member.isfile()}
    lacking = (tracked(*PACKAGES) | {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"}) - inside
    strange = inside - tracked() - {"PKG-INFO"}
    pictures = {name for name in inside if name.endswith(".png")}
    return [
        *(f"it lacks {name}" for name in sorted(lacking)),
        *(f"{name} is not of the repository" for name in sorted(strange)),
        *(f"nobody needs {name}" for name in sorted(pictures)),
        *_size(file),
    ]


def _differences(inside: Iterable[str], wanted: Iterable[str]) -> list[str]:
    inside, wanted = set(inside), set(wanted)
    lacking = [f"it lacks {name}" for name in sorted(wanted - inside)]
    return lacking + [f"{name} does not belong there" for name in sorted(inside - wanted)]


def _size(file: Path) -> list[str]:
    size, most = file.stat().st_size, LARGEST[file.suffix]
    return [f"it has {size:,} bytes, more than {most:,}"] if size > most else []


def main(folder: Path) -> None:
    """Look at the wheel and the source archive of a folder; exit code 1 if something is wrong."""
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    found = {file: look(file) for file, look in ((wheel, problems_of_wheel), (source, problems_of_source))}
    for file, problems in found.items():
        sys.stdout.write(f"{file.name}: {file.stat().st_size:,} bytes, {len(problems) or 'no'} problems\n")
        sys.stdout.write("".join(f"  {problem}\n" for problem in problems))
    sys.exit(any(found.values()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
