"""What a suite is: sets of images by their places below one folder, with what each is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from extract.datasets import FormatOptions, Origin

if TYPE_CHECKING:
    from pathlib import Path

TUNES = "val"
"""The group of OOD sets that tune detectors, and must not judge them."""


@dataclass(frozen=True, slots=True)
class SuiteSet:
    """One set of a suite.

    Attributes:
        name: Its name in the lake, unless another dataset has it.
        role: `fit`, `id`, `ood`, `val` or `csid`.
        place: Where it lies below the suite's folder: a list of images, or the folder itself, `.`.
        format: How its images lie.
        images: Folder below the suite's that a list's paths are relative to; None if the format knows.
        group: Group of an OOD set; `val` for one that tunes, and does not judge.
        part: Part of NINCO.
    """

    name: str
    role: str
    place: str
    format: str = "imglist"
    images: str | None = None
    group: str | None = None
    part: str | None = None

    def origin(self, folder: Path) -> Origin:
        """How and where its images lie, below the suite's folder."""
        root = None if self.images is None else folder / self.images
        return Origin(self.format, str(folder / self.place), FormatOptions(root=root, part=self.part))

    @property
    def described(self) -> str:
        """Its role, and its group if it has one."""
        return self.role if self.group is None else f"{self.role}, group {self.group}"


@dataclass(frozen=True, slots=True)
class Suite:
    """A benchmark as it is distributed.

    Attributes:
        name: What `--suite` takes.
        sets: Its sets.
        marker: What its folder holds, by which it is known.
        below: Folders that its download makes around that.
        remark: What it comes without, for the user to add.
    """

    name: str
    sets: tuple[SuiteSet, ...]
    marker: str
    below: tuple[str, ...] = ()
    remark: str = ""
