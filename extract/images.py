"""Images for a network: each sample comes back as itself or as its own error, never as another's pixels."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import torch
from torch.utils.data import DataLoader, Dataset

from extract.decoding import error_text, read_rgb
from extract.worker_memory import explained, handed_over

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from PIL import Image
    from torch import Tensor

    from extract.datasets import Reader


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """A block of samples.

    Attributes:
        samples: Numbers of the samples that could be read, in order.
        images: Their pixels [n, 3, height, width], as the transform makes them: uint8, mostly.
        errors: Numbers of the others, each with what went wrong.
    """

    samples: list[int]
    images: Tensor
    errors: list[tuple[int, str]]


class ImageDataset(Dataset[tuple[int, "Tensor | str"]]):
    """Images by sample number.

    Args:
        reader: Opens the dataset's images; any process may use it.
        paths: Their addresses; a sample's number is its position.
        transform: From an RGB PIL image to a tensor, as `Preparation.of_image`.
    """

    def __init__(self, reader: Reader, paths: Sequence[str], transform: Callable[[Image.Image], Tensor]) -> None:
        self._reader = reader
        # One buffer rather than a million objects, whose counts of references would copy them into every worker.
        self._paths = pa.array(paths, pa.large_string())
        self._transform = transform

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, sample: int) -> tuple[int, Tensor | str]:
        try:
            file = self._reader.open(self._paths[sample].as_py())
        except Exception as error:  # noqa: BLE001 # a file that is gone, a shard that is cut: each becomes its row's error
            return sample, error_text(error, None)
        with closing(file):
            try:
                return sample, self._transform(read_rgb(file))
            except Exception as error:  # noqa: BLE001 # decoders raise almost anything on a broken file
                return sample, error_text(error, file)


def image_batches(
    dataset: ImageDataset, batches: Iterable[Sequence[int]], *, workers: int, pin: bool
) -> Iterator[ImageBatch]:
    """Read and preprocess batches of samples in the given order.

    Args:
        dataset: The images.
        batches: Sample numbers of each batch.
        workers: Processes that decode; 0 decodes here.
        pin: Whether to return page-locked memory, for faster copies to a GPU.
    """
    loader = DataLoader(
        dataset, batch_sampler=map(list, batches), collate_fn=_collate, num_workers=workers, pin_memory=pin
    )
    with explained(workers):
        for samples, images, errors in loader:
            yield ImageBatch(samples, images, errors)


def _collate(items: list[tuple[int, Tensor | str]]) -> tuple[list[int], Tensor, list[tuple[int, str]]]:
    good = [(sample, image) for sample, image in items if isinstance(image, torch.Tensor)]
    images = handed_over(torch.stack([image for _, image in good])) if good else torch.empty(0)
    return [sample for sample, _ in good], images, [(sample, text) for sample, text in items if isinstance(text, str)]
