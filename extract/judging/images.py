"""Images that a user names, and what a network says of them: as extraction reads, prepares, runs and rounds."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from extract.datasets import FileReader
from extract.datasets.formats.walk import images_below
from extract.images.loader import ImageDataset, image_batches
from extract.images.workers import decoders
from extract.models import LayerOfModel, LoadedModel, choose_device
from extract.models.recorded import Places, recorded_spec
from featurestore.errors import InputError, NumericalError
from featurestore.partitions.encoding import as_stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from extract.images.loader import Prepared
    from extract.models import Head
    from featurestore.layout.recorded_network import RecordedNetwork

_GLOB = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class SeenImages:
    """A batch of images.

    Attributes:
        rows: Positions of those that could be read, among all that were named.
        feature: Their features as the lake would store them, [n, D].
        logits: Their logits, the same, [n, C]; None of a model without a head.
        errors: Positions of the others, each with what went wrong.
    """

    rows: list[int]
    feature: NDArray[Any]
    logits: NDArray[Any] | None
    errors: list[tuple[int, str]]


def named_images(names: Sequence[str]) -> list[str]:
    """The images that are named: files, also ones that are not there; of a folder all below it; of a glob what it finds.

    Args:
        names: Paths and globs.

    Returns:
        Paths, in the order of the names, those of one name sorted; each once.

    Raises:
        InputError: Nothing is named, or a folder or a glob holds no image.
    """
    found: dict[str, None] = {}
    for name in names:
        path = Path(name).expanduser()
        if path.is_dir():
            images = [str(path / image) for image in images_below(path)]
        elif _GLOB & set(name) and not path.exists():
            paths = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 # also absolute ones
            images = [one for one in paths if Path(one).is_file()]
        else:
            images = [str(path)]
        if not images:
            raise InputError(f"There is no image in {name}: name image files, folders that hold some, or quoted globs.")
        found |= dict.fromkeys(images)
    for image in found:
        try:
            image.encode()
        except UnicodeEncodeError:
            raise InputError(f"The file name {image!a} is no text: rename that file in UTF-8.") from None
    if not found:
        raise InputError("Name the images to judge: files, folders or quoted globs.")
    return list(found)


def seen_images(
    network: RecordedNetwork,
    images: Sequence[str],
    *,
    known: Head | None = None,
    places: Places | None = None,
    device: str = "auto",
    batch_size: int = 64,
    workers: int | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Iterator[SeenImages]:
    """What a network says of images.

    Args:
        network: The network, as a lake knows it.
        images: Their paths.
        known: The head that the lake holds.
        places: Where the network's files lie now.
        device: Where to run.
        batch_size: Images per forward pass.
        workers: Processes that decode; None chooses.
        advance: Is told the number of images just done.

    Raises:
        InputError: A file of the network is not there, or the device.
        ConflictError: The network would be another one.
    """
    spec, module = recorded_spec(network, places)
    chosen = choose_device(device)
    amp = "off" if network.compute == "float32" else network.compute
    loaded = LoadedModel(spec.base or spec, chosen, amp, known=known, module=module)
    model = LayerOfModel(loaded, spec) if spec.base else loaded
    data = ImageDataset(FileReader(Path()), images, {spec.way: spec.preparation().of_image}, patience=0.0)
    batches = (range(start, min(start + batch_size, len(images))) for start in range(0, len(images), batch_size))
    processes = decoders(workers, len(images))
    for batch in image_batches(data, batches, workers=processes, pin=chosen.type == "cuda"):
        yield _seen(model, batch.only, network.dtype, headless=spec.is_headless)
        advance(len(batch))


def _seen(model: LoadedModel | LayerOfModel, made: Prepared, dtype: str, *, headless: bool) -> SeenImages:
    feature, logits = np.empty((0, model.width), dtype), np.empty((0, model.classes), dtype)
    samples, errors = made.samples, list(made.errors)
    if samples:
        said = model.said(model.network.launch(made.images))
        feature, logits, kept = _stored(*said, dtype, errors, samples)
        samples = [samples[row] for row in kept]
    return SeenImages(samples, feature, None if headless else logits, errors)


def _stored(
    feature: NDArray[Any], logits: NDArray[Any], dtype: str, errors: list[tuple[int, str]], samples: list[int]
) -> tuple[NDArray[Any], NDArray[Any], list[int]]:
    """Activations in the precision of the lake, and the rows that it can hold; the others join the errors."""
    kept, of = [], {"feature": feature, "logits": logits}
    for row, sample in enumerate(samples):
        try:
            for name, values in of.items():
                as_stored(name, values[row : row + 1], dtype, np.array([sample]))
        except NumericalError as error:
            errors.append((sample, f"NumericalError: {error}"))
        else:
            kept.append(row)
    return feature[kept].astype(dtype), logits[kept].astype(dtype), kept
