"""Memory does not grow with the number of images, and a write that hangs does not stop the models at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from featurestore import Lake
from featurestore.layout.tables import TABLES
from featurestore.partitions.writing import FragmentWriter, Target

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[3]
FEW, CLASSES, ROWS = 500, 20_000, 25
EXACT = {"MALLOC_MMAP_THRESHOLD_": "131072", "ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Freed blocks go back to the system at once. Else the peak counts what allocators keep, which depends on which thread was
first: some 20 to 65 MB."""
PEAKS = f"""
import sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from extract.datasets import add_dataset
from extract.job.run import run_job
from extract.models.spec import ModelSpec
from extract.job.plan import Options
from featurestore import Lake
from tests.tiny import ARCHITECTURE, KWARGS, tiny_vit, write_images

torch.set_num_threads(1)
folder, kwargs = Path(sys.argv[1]), {{**KWARGS, "num_classes": {CLASSES}}}
save_file(tiny_vit(**kwargs).state_dict(), folder / "wide.safetensors")
spec = ModelSpec("wide", ARCHITECTURE, folder / "wide.safetensors", kwargs)
for images in ({FEW}, {4 * FEW}):
    lake = Lake(folder / f"lake{{images}}")
    add_dataset(lake, "val", write_images(folder / str(images), {{"ant": images}}, size=32), role="ood")
    options = Options("cpu", {ROWS}, 0, dtype="float32", fragment_rows={ROWS})
    assert run_job(lake, [spec], ["val"], options, lambda _: None).samples == images
    print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    """Four times the images add 120 MB of logits on disk, and less than half of that to the peak.

    The job of the few comes first, in the same process: its peak holds what a job of any size needs, with fragments of 2 MB
    in all stages of being written.
    """
    command = [sys.executable, "-c", PEAKS, str(tmp_path)]
    environment = {**os.environ, **EXACT}
    ended = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert ended.returncode == 0, ended.stderr
    few, many = (int(line) * 1024 for line in ended.stdout.split())
    assert many - few < 3 * FEW * CLASSES * 4 / 2


def test_fragments_of_all_models_can_be_handed_over_while_none_is_stored(tmp_path: Path) -> None:
    """With room for them, whoever runs the models does not wait for the storage, and loses nothing."""
    lake, gate, handed = Lake(tmp_path / "lake"), threading.Event(), threading.Event()
    create = lake.storage.create

    def slow(key: str, data: Any) -> bool:
        assert gate.wait(60)
        return create(key, data)

    lake.storage.create = slow  # type: ignore[method-assign]
    targets = [_target({"model": f"m{number}", "dataset": "val"}) for number in range(3)]
    written = []

    def hand_over() -> None:
        with FragmentWriter(lake.storage, room=3) as writer:
            written.extend(writer.submit(target, 0, lambda: pa.table({"sample": [1, 2]})) for target in targets)
            handed.set()

    thread = threading.Thread(target=hand_over)
    thread.start()
    without_waiting = handed.wait(60)
    gate.set()
    thread.join()
    assert without_waiting
    assert [future.result().rows for future in written] == [2, 2, 2]


def _target(key: Mapping[str, str]) -> Target:
    return Target(TABLES["activations"], key, {}, {})
