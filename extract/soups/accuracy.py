"""Accuracy of models on a labelled dataset, without a trace in the lake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from extract.datasets import check_unchanged, read_dataset, read_listing
from extract.images.loader import ImageDataset, check_reachable, image_batches
from extract.images.workers import decoders
from extract.job import batches_of, check_labels
from extract.models import LoadedModel, choose_device
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extract.datasets import DatasetRow, Listing
    from extract.job import Options
    from extract.models import ModelSpec
    from featurestore.lake import Lake

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A labelled dataset and how to run models on it."""

    dataset: DatasetRow
    listing: Listing
    options: Options
    device: str

    @classmethod
    def of(cls, lake: Lake, name: str, options: Options, device: str) -> Evaluation:
        """Prepare to judge models by a dataset of the lake.

        Raises:
            MissingError: The lake has no such dataset.
            InputError: It has samples without a label.
            ConflictError: Its files changed.
        """
        dataset = read_dataset(lake, name)
        listing = read_listing(lake, name)
        if not len(listing) or any(label is None for label in listing.labels):
            raise InputError(
                f"Dataset {name!r} has the role {dataset.role!r} and no labels: accuracy needs a dataset with the role id, val or fit."
            )
        check_unchanged(dataset, listing)
        return cls(dataset, listing, options, device)

    def accuracies(self, specs: Sequence[ModelSpec]) -> list[float]:
        """The share of readable samples whose label has the largest logit, by model; models share the decoding.

        Args:
            specs: Models that prepare images alike.

        Raises:
            InputError: A model cannot be loaded, a label is beyond its head, or no sample can be read.
            UnreadableError: Images cannot be read where they lie, and the options do not allow it.
        """
        return [
            accuracy
            for start in range(0, len(specs), _AT_ONCE)
            for accuracy in self._pass(specs[start : start + _AT_ONCE])
        ]

    def _pass(self, specs: Sequence[ModelSpec]) -> list[float]:
        models = [
            LoadedModel(spec, choose_device(self.device), self.options.amp, compiling=self.options.compiling)
            for spec in specs
        ]
        labels = np.array(self.listing.labels)
        for model in models:
            check_labels(model, self.dataset, self.listing)
            if not model.classes:
                raise InputError(
                    f"Model {model.spec.name} has no head, and so no accuracy that a greedy soup could go by."
                )
        images = ImageDataset(self.dataset.reader, self.listing.paths, {specs[0].way: specs[0].preparation().of_image})
        batches = batches_of([range(len(self.listing))], self.options.batch_size)
        workers = decoders(self.options.workers, len(self.listing))
        right, read = np.zeros(len(models), np.int64), 0
        with self.options.bars(f"accuracy on {self.dataset.dataset}", len(self.listing)) as advance:
            for batch in image_batches(images, batches, workers=workers, pin=False):
                made = batch.only
                if batch.unreachable and not self.options.allow_unreadable:
                    away = [(n, self.listing.paths[n], text) for n, text in made.errors if n in batch.unreachable]
                    check_reachable(self.dataset, away, len(batch))
                truth = labels[made.samples]
                if made.samples:
                    right += [int((model(made.images)[1].argmax(axis=1) == truth).sum()) for model in models]
                read += len(made.samples)
                advance(len(batch))
        if not read:
            raise InputError(f"No image of dataset {self.dataset.dataset!r} can be read.")
        return [float(count / read) for count in right]
