"""Where models run: devices, and batches that do not fit in their memory, which are run in halves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from featurestore.errors import InputError, first_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

_SIGNS = ("DefaultCPUAllocator", "out of memory", "ALLOC_FAILED", "bad_alloc")


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` takes a GPU where there is one.

    Raises:
        InputError: There is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"{name!r} is no device: use cpu, cuda or cuda:N.") from error
    if device.type not in {"cpu", "cuda"}:
        raise InputError(f"{name!r} is no device that models run on here: use cpu, cuda or cuda:N.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"There is no device {name}: this machine has {torch.cuda.device_count()} CUDA devices; use --device cpu."
        )
    return device


def split_devices(names: str) -> list[str]:
    """Read `--device`: one device, or several as in `cuda:0,1,2,3` or `cuda:0,cuda:1`.

    Raises:
        InputError: One of them is not there.
    """
    first, *others = [name.strip() for name in names.split(",")]
    kind = first.partition(":")[0]
    devices = [first, *(f"{kind}:{name}" if name.isdigit() else name for name in others)]
    for device in devices:
        choose_device(device)
    return devices


def on_device(module: nn.Module, device: torch.device, name: str) -> nn.Module:
    """Move a module to a device, in the memory layout that its images will have.

    Raises:
        InputError: There is no room for it.
    """
    # cuDNN would compute convolutions with ten binary digits; float32 shall mean float32.
    torch.backends.cudnn.allow_tf32 = False
    try:
        return module.to(device).to(memory_format=layout_of(module))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise InputError(
            f"The weights of model {name} do not fit into the memory of {device}: take fewer models per job, or a device with more memory."
        ) from error


def layout_of(module: nn.Module) -> torch.memory_format:
    """Channels last for convolutional networks, whose layers are faster so; a ViT's one convolution gains nothing."""
    convolutions = sum(isinstance(layer, torch.nn.Conv2d) for layer in module.modules())
    return torch.channels_last if convolutions > 1 else torch.contiguous_format


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
