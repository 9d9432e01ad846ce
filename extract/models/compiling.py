"""torch.compile, checked before it is relied upon."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch

from featurestore.errors import InputError, first_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_MODELS = 64
"""How many networks a process may compile; torch would fall back to none at the ninth."""


def compiled(function: Callable[[Tensor], Tensor], device: torch.device) -> Callable[[Tensor, int], Tensor]:
    """A compiled function of batches: smaller ones are filled up, so that it is compiled for one size alone.

    Args:
        function: From images [n, 3, height, width] to [n, …], each row by itself.
        device: Where it runs.

    Returns:
        The function of a batch and of the size to fill it up to.

    Raises:
        InputError: There is no working compiler for that device; found out here, or by the first batch.
    """
    from torch._dynamo.exc import BackendCompilerFailed  # takes seconds, which only those who compile should pay

    _check_compiler(device.type)
    torch._dynamo.config.recompile_limit = _MODELS  # noqa: SLF001 # the documented place of the setting
    fast = torch.compile(function, dynamic=False)

    def run(images: Tensor, size: int) -> Tensor:
        missing = size - len(images)
        filled = torch.cat([images, images.new_zeros(missing, *images.shape[1:])]) if missing else images
        try:
            return fast(filled)[: len(images)]
        except BackendCompilerFailed as error:
            raise _without_compiler(error, device.type) from error

    return run


@cache
def _check_compiler(device: str) -> None:
    try:
        torch.compile(lambda numbers: numbers.sin() + 1)(torch.ones(8, device=device))
    except Exception as error:
        raise _without_compiler(error, device) from error


def _without_compiler(error: Exception, device: str) -> InputError:
    return InputError(
        f"--compile needs a working compiler for {device}: {first_line(error)}. Install one (on the CPU a C++ "
        "compiler and Python's headers; on CUDA Triton and a C compiler), or leave --compile out."
    )
