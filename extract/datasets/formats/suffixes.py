"""Which files are images: the names' endings of every raster format that Pillow decodes itself; and a count of all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from extract.datasets.formats.format import FormatOptions

_FIRST = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""What the first versions read; datasets of theirs hold these alone."""
IMAGE_SUFFIXES = _FIRST | {
    ".apng", ".avif", ".avifs", ".blp", ".bw", ".cur", ".dcx", ".dds", ".dib", ".flc", ".fli", ".ftc", ".ftu", ".gbr", ".icb", ".icns",
    ".ico", ".im", ".j2c", ".j2k", ".jfif", ".jp2", ".jpc", ".jpe", ".jpf", ".jpx", ".mpo", ".pbm", ".pcx", ".pfm", ".pnm", ".psd",
    ".pxr", ".qoi", ".ras", ".rgb", ".rgba", ".sgi", ".tga", ".vda", ".vst", ".xbm", ".xpm",
}  # fmt: skip
NO_IMAGES = {
    ".eps": "decoded by another program, Ghostscript",
    ".ps": "decoded by another program, Ghostscript",
    ".emf": "drawn by Windows",
    ".wmf": "drawn by Windows",
    ".bufr": "no decoder",
    ".grib": "no decoder",
    ".h5": "no decoder",
    ".hdf": "no decoder",
    ".mpeg": "no decoder",
    ".mpg": "no decoder",
    ".iim": "a container of news agencies",
    ".fit": "measurements without a range; also tracks of watches",
    ".fits": "measurements without a range",
    ".msp": "also patches of Windows' installer",
    ".pcd": "also clouds of points",
}
"""What Pillow opens by its suffix and is not read, and why."""


def suffix_of(name: str) -> str:
    """How a file's name ends, in lower case with its dot; empty if it does not."""
    last = name[name.rfind("/") + 1 :]
    dot = last.rfind(".")
    return last[dot:].lower() if dot > 0 else ""


def is_image(name: str, suffixes: frozenset[str] = IMAGE_SUFFIXES) -> bool:
    """Whether a file name has an image's suffix, in any case."""
    return name[name.rfind(".") :].lower() in suffixes


def suffixes_read(options: FormatOptions) -> frozenset[str]:
    """The suffixes that count as a dataset's images: all when it is added; afterwards those of the first versions and those found then."""
    return IMAGE_SUFFIXES if options.suffixes is None else _FIRST | {f".{name}" for name in options.suffixes.split()}


def suffixes_found(paths: Iterable[str]) -> dict[str, str]:
    """The option that says which suffixes were found beyond those of the first versions; nothing if none."""
    found = {suffix_of(path) for path in paths} - _FIRST
    return {"suffixes": " ".join(sorted(suffix[1:] for suffix in found))} if found else {}


def passed_over(location: str, images: int, others: Mapping[str, int]) -> list[str]:
    """A line on the files that are no images, by their kind, those with the most first; none if there are none.

    >>> passed_over("a", 30, {".txt": 3, ".mov": 9})
    ['a: 30 images; 12 files passed over: 9 .mov, 3 .txt']
    """
    if not others:
        return []
    total = sum(others.values())
    kinds = sorted(others, key=lambda kind: (-others[kind], kind))
    said = ", ".join(f"{others[kind]:,} {kind or 'without suffix'}" for kind in kinds)
    return [f"{location}: {images:,} images; {total:,} {'file' if total == 1 else 'files'} passed over: {said}"]
