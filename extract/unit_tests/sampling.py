"""Which source images a kind is drawn from, and where its randomness comes from: pure functions of names and numbers."""

from __future__ import annotations

import numpy as np

from featurestore.errors import InputError


def sample_indices(name: str, number_of_images: int, per_kind: int) -> list[int]:
    """Draw the source images of one kind by NINCO's rule: the kind's name is the seed.

    With ImageNet's 50,000 validation images and 400 per kind, these are the images of NINCO's released files.

    Args:
        name: the name of the kind.
        number_of_images: how many images there are to draw from.
        per_kind: how many to draw, without replacement.

    Returns:
        The positions of the drawn images, ascending.

    Raises:
        InputError: fewer than one image is asked for, or more than there are.
    """
    if not 1 <= per_kind <= number_of_images:
        raise InputError(f"cannot draw {per_kind} different images of {number_of_images}; draw 1 to {number_of_images}")
    bits = np.random.MT19937(np.random.SeedSequence(_number(name)))
    # The legacy generator is NINCO's, and its stream is frozen for good.
    drawn = np.random.RandomState(bits).choice(number_of_images, per_kind, replace=False)
    return [int(index) for index in np.sort(drawn)]


def pixel_generator(seed: int, kind: str, index: int) -> np.random.Generator:
    """Make the generator of one image's pixels, which depends on no other image and no other kind.

    Args:
        seed: the seed of the whole set, not negative.
        kind: the name of the kind.
        index: the position of the source image.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_number(kind), index)))


def _number(name: str) -> int:
    return int("".join(str(ord(character)) for character in name))
