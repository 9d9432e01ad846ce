"""The registry of dataset formats, listing samples with them, and opening images again."""

from __future__ import annotations

import hashlib
import pkgutil
from dataclasses import replace
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from extract.datasets.buckets import bucket_format, is_url
from extract.datasets.formats import FileReader, Format, file_sizes
from extract.datasets.labelling import label_classes
from extract.datasets.listing import Listing, check_paths
from extract.datasets.origin import option_name
from featurestore.errors import InputError
from featurestore.names import pick

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extract.datasets.formats import Found, Reader
    from extract.datasets.origin import Origin

_FOR_ALL = frozenset({"labels", "label_order", "per_class", "seed", "stamp", "suffixes", "parent", "chosen"})


@cache
def formats() -> Mapping[str, Format]:
    """Every format by name: those that modules of this package define."""
    package = import_module("extract.datasets.formats")
    modules = pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    values = (value for module in modules for value in vars(import_module(module.name)).values())
    found = sorted({value.name: value for value in values if isinstance(value, Format)}.items())
    return MappingProxyType(dict(found))


def list_samples(origin: Origin, role: str) -> Listing:
    """The listing of `look`."""
    return look(origin, role)[0]


def list_again(origin: Origin) -> Listing:
    """The samples of an origin that a lake holds, without labels, read as they were when it was added."""
    return list_samples(_again(origin), "ood")


def look(origin: Origin, role: str) -> tuple[Listing, Found]:
    """List all samples of an origin, whatever `--per-class` says, with what the format has to say of them.

    Args:
        origin: How and where the images lie.
        role: `fit`, `id`, `ood` or `val`; OOD samples get no label.

    Raises:
        MissingError: No format has that name.
        InputError: The images do not lie as the format says, the format does not take an option, or an image is listed
            twice.
    """
    _check_options(origin)
    try:
        found = _format(origin).listing(origin.location, role, origin.options)
    except OSError as error:
        raise InputError(f"Cannot read {error.filename or origin.location}: {error.strerror or error}.") from error
    if found.refusal and origin.options.adding:
        raise InputError(found.refusal)
    reader = open_reader(origin)
    check_paths(found.paths, origin.location, str(reader.root.absolute()) if isinstance(reader, FileReader) else "")
    own = needs_labels(origin)  # then they are the format's, and said what the labels are
    options = replace(origin.options, labels=None, label_kind=None) if own else origin.options
    labels = label_classes(found, role, origin.location, options)
    numbers = [labels.of.get(name) for name in found.class_names]
    listing = Listing(found.paths, found.bytes, numbers, found.class_names)
    said = replace(found, notes=[*found.notes, *labels.notes], inferred={**found.inferred, **labels.inferred})
    return listing, said


def open_reader(origin: Origin) -> Reader:
    """The reader of a source's images."""
    return _format(origin).reader(origin.location, origin.options)


def needs_labels(origin: Origin) -> bool:
    """Whether `--labels` is a format's own file, with a label for each image, rather than one for each class."""
    return "labels" in _format(origin).takes


def stamp(origin: Origin) -> str | None:
    """What tells cheaply whether a source's files changed; None if listing again is as cheap.

    Times are part of it, so files that were copied look changed; listing again then tells whether they are.
    """
    files = _format(origin).files
    if files is None:
        return None
    stats = [(path.name, path.stat()) for path in files(origin.location)]
    said = "\n".join(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}" for name, stat in stats)
    return hashlib.sha256(said.encode(errors="surrogateescape")).hexdigest()[:16]


def container_times(origin: Origin) -> list[int]:
    """When the files that hold a source's images were written, in nanoseconds since 1970; none where nothing tells.

    Raises:
        OSError: One may not be looked at.
        LakeError: They are gone.
    """
    files = _format(origin).files
    return [file.stat().st_mtime_ns for file in files(origin.location)] if files else []


def is_untouched(origin: Origin, listing: Listing) -> bool:
    """Whether names, sizes and times alone tell that nothing changed; if they do not, listing again tells what did."""
    format_, options = _format(origin), _again(origin).options
    try:
        if format_.names is not None:  # of a subset, only the chosen images count
            same = options.is_part or list(format_.names(origin.location, options)) == listing.paths
        else:
            same = options.stamp is not None and options.stamp == stamp(origin)
        reader = open_reader(origin)  # images inside a file that was not touched have the sizes that they had
        return same and (not isinstance(reader, FileReader) or file_sizes(reader.root, listing.paths) == listing.bytes)
    except OSError:
        return False


def _again(origin: Origin) -> Origin:
    return replace(origin, options=replace(origin.options, suffixes=origin.options.suffixes or ""))


def _check_options(origin: Origin) -> None:
    """Raise if an origin has an option that its format does not take."""
    taken = _format(origin).takes | _FOR_ALL
    for name in origin.options.given:
        if name not in taken:
            others = [format_.name for format_ in formats().values() if name in format_.takes]
            raise InputError(
                f"The format {origin.format!r} takes no --{option_name(name)}: that is for --format {' or '.join(others)}."
            )


def _format(origin: Origin) -> Format:
    name = pick("dataset format", origin.format, formats())
    there = next((place for place in (origin.location, origin.options.root) if is_url(place)), None)
    return formats()[name] if there is None else bucket_format(name, str(there))
