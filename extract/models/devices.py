"""Where models run: devices, what is found of them, and batches that do not fit in their memory, which are run in halves."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from huggingface_hub.constants import HF_HUB_CACHE

from featurestore.doctor import Finding
from featurestore.errors import InputError, first_line
from featurestore.quantities import bytes_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

_DRIVER = Path("/proc/driver/nvidia/version")
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
