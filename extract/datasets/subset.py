"""Seeded subsets for cheap studies: some images of each class."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extract.datasets.listing import Listing
    from extract.datasets.source import SourceOptions


def choose(listing: Listing, options: SourceOptions) -> tuple[Listing, Mapping[str, int]]:
    """Choose `per_class` samples of each class without replacement; what is chosen of a class depends on no other class.

    Args:
        listing: All samples.
        options: `per_class`, None for all samples, and `seed`, None for 0.

    Returns:
        The chosen samples in their order, and the sizes of the classes that have fewer and are kept whole.

    Raises:
        InputError: `per_class` is less than 1, the seed is negative, or there is a seed but no `per_class`.
    """
    if options.per_class is None:
        if options.seed is not None:
            raise InputError("--seed chooses the images of --per-class: give both, or neither.")
        return listing, {}
    if options.per_class < 1 or (options.seed or 0) < 0:
        raise InputError(
            f"--per-class must be at least 1 and --seed at least 0: got {options.per_class} and {options.seed}."
        )
    members: dict[str, list[int]] = defaultdict(list)
    for sample, name in enumerate(listing.class_names):
        members[name].append(sample)
    chosen = [_choose(listing, name, samples, options) for name, samples in members.items()]
    fewer = {name: len(samples) for name, samples in sorted(members.items()) if len(samples) < options.per_class}
    return listing.take(sorted(sample for samples in chosen for sample in samples)), fewer


def _choose(listing: Listing, name: str, samples: Sequence[int], options: SourceOptions) -> Sequence[int]:
    size = options.per_class or len(samples)
    if len(samples) <= size:
        return samples
    by_path = sorted(samples, key=listing.paths.__getitem__)
    generator = np.random.default_rng([options.seed or 0, *name.encode()])
    return [by_path[position] for position in generator.choice(len(by_path), size, replace=False)]
