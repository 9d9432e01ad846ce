"""Where models run."""

from __future__ import annotations

import torch

from featurestore.errors import InputError


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
