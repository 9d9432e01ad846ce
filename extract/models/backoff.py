"""Batches that do not fit in memory: they are run in halves, and the smaller size is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from extract.models.checkpoints import first_line
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_SIGNS = ("DefaultCPUAllocator", "out of memory", "ALLOC_FAILED", "bad_alloc")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory could not be had, on whichever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


class Backoff:
    """A function of a batch, called on parts of it that fit in memory.

    Args:
        run: From images [n, 3, height, width] to tensors [n, …]; is also told the size of all parts but the last ones.
        name: What messages call the model.

    Attributes:
        size: Images in each part: the largest batch seen so far, or less where that did not fit.
        shrunk: Whether a batch did not fit.
    """

    def __init__(self, run: Callable[[Tensor, int], tuple[Tensor, ...]], name: str) -> None:
        self._run = run
        self._name = name
        self.size = 1
        self.shrunk = False

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """The function's results for a whole batch.

        Raises:
            InputError: Not even one image fits in memory.
        """
        if not self.shrunk:
            self.size = max(self.size, len(images))
        while True:
            try:
                parts = [self._run(part, self.size) for part in torch.split(images, self.size)]
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = first_line(error)
            else:
                return parts[0] if len(parts) == 1 else tuple(map(torch.cat, zip(*parts, strict=True)))
            # Out of the handler, so that nothing holds the tensors of the attempt any more.
            self._shrink(reason)

    def _shrink(self, reason: str) -> None:
        if self.size == 1:
            raise InputError(
                f"Model {self._name} does not fit in memory, not even with one image at a time ({reason}): "
                "try --amp bf16, fewer models per job, or a device with more memory."
            )
        self.size, self.shrunk = self.size // 2, True
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
