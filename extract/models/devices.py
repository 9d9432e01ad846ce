"""Where models run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from extract.models.backoff import is_out_of_memory
from featurestore.errors import InputError

if TYPE_CHECKING:
    from torch import nn


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
