"""Datasets of the Hugging Face hub, `hf:NAME@split`, through the datasets library where it is installed."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.datasets.formats.format import Format, Found
from extract.datasets.formats.table_columns import choose_columns, choose_image
from featurestore.errors import InputError, one_line

if TYPE_CHECKING:
    from extract.datasets.formats.format import FormatOptions

_SCHEME = "hf:"


@dataclass(frozen=True, slots=True)
class HubReader:
    """Images by the number of their row."""

    location: str

    def open(self, path: str) -> io.BytesIO:
        """Read an image; each process opens the dataset anew."""
        return io.BytesIO(_image(self.location, int(path)))


def list_hub(location: str, role: str, options: FormatOptions) -> Found:
    """List the images in order of the rows.

    Raises:
        InputError: The library is missing, it does not find the dataset, or the dataset has no images or labels.
    """
    dataset = _load(location)
    names_of = {name: dataset.features[name].names for name in _of_type(dataset, "ClassLabel")}
    images = _of_type(dataset, "Image")
    columns = choose_columns(location, list(dataset.features), images, names_of, options.label_column)
    labels = list(dataset[columns.label]) if columns.label else [None] * len(dataset)
    name = location.removeprefix(_SCHEME).partition("@")[0].rpartition("/")[2]
    classes = columns.classes_of(location, labels, role, name)
    sizes = [len(_image(location, row)) for row in range(len(dataset))]
    notes = columns.passed_over(location, list(dataset.features), images)
    return Found([str(row) for row in range(len(labels))], sizes, *classes, notes)


def _load(location: str) -> Any:
    if not location.startswith(_SCHEME):
        raise InputError(f"{location} is not of the hub: the format 'hf' takes hf:NAME or hf:NAME@split.")
    name, _, split = location.removeprefix(_SCHEME).partition("@")
    library = _library()
    try:
        loaded = library.load_dataset(name, split=split or None)
    except Exception as error:  # the library raises errors of many others
        raise InputError(f"The datasets library cannot load {location}: {one_line(error)}") from error
    if not isinstance(loaded, dict):
        return loaded
    if len(loaded) != 1:
        raise InputError(f"{location} has several splits: name one of {', '.join(loaded)}, as {_SCHEME}{name}@SPLIT.")
    return next(iter(loaded.values()))


def _library() -> Any:
    try:
        return import_module("datasets")
    except ModuleNotFoundError as error:
        raise InputError("The format 'hf' needs the datasets library: pip install 'featurestore[hf]'.") from error


def _of_type(dataset: Any, kind: str) -> list[str]:
    return [name for name, feature in dataset.features.items() if type(feature).__name__ == kind]


@lru_cache(maxsize=2)
def _stored_images(location: str) -> tuple[Any, str]:
    """The dataset with images as they are stored, rows {bytes, path} that are not decoded, and their column."""
    dataset = _load(location)
    column = choose_image(location, _of_type(dataset, "Image"))
    return dataset.cast_column(column, _library().Image(decode=False)), column


def _image(location: str, row: int) -> bytes:
    """The bytes of an image."""
    dataset, column = _stored_images(location)
    image = dataset[row][column]
    content: bytes | None = image["bytes"]
    return content if content is not None else Path(image["path"]).read_bytes()


HUB = Format(
    "hf",
    list_hub,
    lambda location, _: HubReader(location),
    frozenset({"label_column", "label_kind"}),
    lambda location: [Path(entry["filename"]) for entry in _load(location).cache_files],
)
