"""One photograph is judged from a warm lake, beside timm's own forward pass, both as a process of their own.

Both import what they need, read the same safetensors file into the same network with 1,000 classes, prepare the same photograph, and run it
once. Beside what timm does, `featurestore judge` hashes the checkpoint, reads the statistics and fits the detector. It saves drawing
random weights before the real ones are loaded, and the forward passes on noise that check the head: the lake has that head, checked.

python -m benchmarks.judge [--architecture vit_base_patch16_224] [--detector mahalanobis] [--rounds 3]
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from benchmarks.measure import command, in_turns, python
from benchmarks.record import Record, arguments
from featurestore import Lake

CLASSES, ROWS = 1_000, {"train": ("fit", 64), "test": ("id", 32)}
_TIMM = """
import sys
import timm, torch
from PIL import Image
from safetensors.torch import load_file
model = timm.create_model(sys.argv[1])
model.load_state_dict(load_file(sys.argv[2]))
model.eval()
transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=model))
with torch.inference_mode():
    logits = model(transform(Image.open(sys.argv[3]).convert("RGB"))[None])
print(int(logits.argmax()))
"""


def make_lake(folder: Path, architecture: str, detector: str) -> Lake:
    """A lake of a network with random weights: statistics have their full size however few images they are of."""
    torch.manual_seed(0)
    save_file(timm.create_model(architecture).state_dict(), folder / "model.safetensors")
    generator, lake = np.random.default_rng(0), Lake(folder / "lake")
    for name, (role, count) in ROWS.items():
        for number in range(count):
            path = folder / name / f"class{number % 8}" / f"{number:03d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            small = generator.integers(0, 256, (32, 42, 3), dtype=np.uint8)
            Image.fromarray(small).resize((500, 375), Image.Resampling.BICUBIC).save(path, quality=90)
        lake.add_dataset(name, folder / name, role=role, say=None)
    lake.extract(folder / "model.safetensors", architecture=architecture, name="m", say=None, progress=None)
    lake.score(detector=detector, say=None, progress=None)
    return lake


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="vit_base_patch16_224")
    parser.add_argument("--detector", default="mahalanobis")
    parser.add_argument("--rounds", type=int, default=3)
    given = arguments(parser, architecture="vit_tiny_patch16_224", rounds=1)
    record = Record("judge", given)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lake = make_lake(folder, given.architecture, given.detector)
        image = folder / "test" / "class0" / "000.jpg"
        chosen = ("--model", "m", "--detector", given.detector, "--lake", lake.location, "--format", "json")
        sides = {
            "timm": partial(python, "-c", _TIMM, given.architecture, folder / "model.safetensors", image),
            "featurestore judge": partial(command, "judge", image, *chosen),
        }
        taken = in_turns(given.rounds + 1, **sides)
    with record.table(f"One photograph, {given.architecture} and {given.detector}") as table:
        for side, runs in taken.items():
            table.runs(side, runs[1:])  # the first round warms the caches of both
        table.ratio("featurestore judge", "timm", column="of timm's time", most=1.3)
        table.ratio("featurestore judge", "timm", column="of its processors' time", of="processor")
    record.close()


if __name__ == "__main__":
    main()
