"""Devices are read as they are written; batches that do not fit in memory run in parts, with the same results, and a model that never fits is a sentence."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch

from extract.job.run import run_job
from extract.models.devices import is_out_of_memory, on_device, split_devices
from extract.models.network import LoadedModel
from extract.models.spec import ModelSpec
from featurestore import InputError
from tests.extract.conftest import FULL, assert_same_rows, read, run, tiny_spec

if TYPE_CHECKING:
    from pathlib import Path

    from featurestore import Lake


class Room:
    """How many images networks take, and the batches that they were asked to run."""

    def __init__(self, images: int) -> None:
        self.images, self.asked = images, list[int]()


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    load, room = ModelSpec.load_module, Room(3)

    def limited(spec: ModelSpec) -> Any:
        module: Any = load(spec)
        inner = module.forward_features

        def forward_features(images: torch.Tensor, **options: Any) -> torch.Tensor:
            room.asked.append(len(images))
            if len(images) > room.images:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
            return inner(images, **options)  # type: ignore[no-any-return]

        module.forward_features = forward_features
        return module

    monkeypatch.setattr(ModelSpec, "load_module", limited)
    return room


def test_a_batch_that_does_not_fit_runs_in_parts_and_the_smaller_size_is_kept(
    val: Lake, checkpoint: Path, room: Room
) -> None:
    """It is said in one line, noted in the manifest, and the rows are those of whole batches."""
    said: list[str] = []
    options = dataclasses.replace(FULL, batch_size=8, fragment_rows=15)
    run_job(val, [tiny_spec(checkpoint, "picky")], ["val"], options, said.append)
    assert room.asked == [2, 2, 8, 4, *[2] * 7, 1]  # two looks at noise, then 15 images in batches of 8 and 7
    assert [line for line in said if "memory" in line] == [
        "picky: batches of 8 did not fit in memory, and ran 2 images at a time"
    ]
    room.images = 8
    run(val, tiny_spec(checkpoint, "roomy"), batch_size=8, fragment_rows=15)
    assert_same_rows(read(val, "picky"), read(val, "roomy"))
    (manifest,) = val.partitions("activations", model="picky")
    assert manifest.parts[0].details["batch_cut_to"] == 2


def test_a_model_without_room_for_one_image_is_a_sentence(checkpoint: Path, room: Room) -> None:
    model = LoadedModel(tiny_spec(checkpoint), torch.device("cpu"))
    room.images = 0
    with pytest.raises(InputError, match="Model tiny does not fit in memory, not even with one image at a time"):
        model(torch.zeros(5, 3, 32, 32, dtype=torch.uint8))
    assert room.asked[-3:] == [5, 2, 1]


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"))
    assert not is_out_of_memory(ValueError("out of memory"))


SHORT_OF_MEMORY = """
import resource, sys
from pathlib import Path
import torch, timm
from safetensors.torch import save_file
from extract.models.network import LoadedModel
from extract.models.spec import ModelSpec
torch.set_num_threads(1)
torch.manual_seed(0)
kwargs = dict(img_size=224, patch_size=16, embed_dim=192, depth=1, num_heads=3, num_classes=3)
save_file(timm.create_model("vit_tiny_patch16_224", **kwargs).state_dict(), sys.argv[1])
model = LoadedModel(ModelSpec("m", "vit_tiny_patch16_224", Path(sys.argv[1]), kwargs), torch.device("cpu"))
images = torch.randint(0, 256, (256, 3, 224, 224), dtype=torch.uint8)
expected = torch.cat([torch.from_numpy(model(part)[0]) for part in images.split(8)])
status = Path("/proc/self/status").read_text()
used = int(status.split("VmSize:")[1].split()[0]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + 120_000_000,) * 2)
features = torch.from_numpy(model(images)[0])
print(model.shrunk_to, float((features - expected).abs().max() / expected.abs().max()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")
@pytest.mark.long
def test_an_allocation_that_fails_for_real_is_survived(tmp_path: Path) -> None:
    """A process with too little room for the batch: torch's own error, and the same features."""
    command = [sys.executable, "-c", SHORT_OF_MEMORY, str(tmp_path / "m.safetensors")]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    size, difference = ended.stdout.split()
    assert 1 <= int(size) < 256
    assert float(difference) <= 1e-5


def test_devices_are_read_one_or_many() -> None:
    assert split_devices("cpu") == ["cpu"]
    assert split_devices("cpu,cpu") == ["cpu", "cpu"]
    for name in ("gpu", "cpu,gpu"):
        with pytest.raises(InputError, match="is no device"):
            split_devices(name)


def test_several_gpus_are_a_list_after_the_kind_or_full_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    four = [f"cuda:{number}" for number in range(4)]
    assert split_devices("cuda:0,1,2,3") == split_devices("cuda:0,cuda:1, cuda:2,3") == four
    with pytest.raises(InputError, match="no device cuda:4: this machine has 4 CUDA devices"):
        split_devices("cuda:3,4")


def test_float32_means_float32_on_every_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a program set before: cuDNN would compute convolutions with ten binary digits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    on_device(torch.nn.Linear(2, 2), torch.device("cpu"), "tiny")
    assert not torch.backends.cudnn.allow_tf32
