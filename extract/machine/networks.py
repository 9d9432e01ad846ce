"""What a machine has to run networks: GPUs that compute, and what is kept of downloaded weights."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from huggingface_hub.constants import HF_HUB_CACHE

from featurestore.doctor import Finding
from featurestore.errors import first_line
from featurestore.quantities import bytes_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DRIVER = Path("/proc/driver/nvidia/version")


def examine_networks(places: Sequence[Path] | None = None) -> Iterator[Finding]:
    """The GPUs, and what is kept of downloaded weights.

    Args:
        places: Folders of downloaded weights; by default those of torch's hub and of timm's (Hugging Face's).
    """
    yield _gpus()
    places = (Path(torch.hub.get_dir()), Path(HF_HUB_CACHE)) if places is None else places
    held = {str(place): sum(one.lstat().st_size for one in place.rglob("*") if one.is_file()) for place in places}
    said = ", ".join(f"{place}: {bytes_text(size)}" for place, size in held.items())
    yield Finding("weights", said, {"bytes_of_folder": held})


def _gpus() -> Finding:
    """Each GPU, tried with a product of matrices."""
    names, troubles = [], []
    for number in range(torch.cuda.device_count()):
        device = torch.device("cuda", number)
        names.append(torch.cuda.get_device_name(device))
        try:
            free, total = torch.cuda.mem_get_info(device)
            names[-1] += f", {bytes_text(free)} free of {bytes_text(total)}"
            one = torch.ones(64, 64, device=device)
            (one @ one).sum().item()
        except RuntimeError as error:
            troubles.append(
                f"cuda:{number} does not compute: {first_line(error)}; install a torch that fits its driver, or extract with --device cpu."
            )
    if not names and is_hidden():
        build = torch.version.cuda or "no CUDA"
        troubles.append(
            f"The machine has an NVIDIA driver, and torch {torch.__version__} (built for {build}) sees no GPU: install a torch that "
            "fits the driver, or look at CUDA_VISIBLE_DEVICES."
        )
    values = {"gpus": names, "cuda": torch.version.cuda}
    return Finding("GPU", "; ".join(names) or "none that torch sees: networks run on the CPU", values, tuple(troubles))


def is_hidden(driver: Path = _DRIVER) -> bool:
    """Whether the machine has a GPU's driver, whatever torch sees."""
    return driver.exists() or shutil.which("nvidia-smi") is not None
