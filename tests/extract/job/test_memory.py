"""Memory does not grow with the number of images."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
