"""One image judged from a warm lake, as a ratio against timm's own forward pass with its loading, both as a process of their own.

Both sides import what they need, read the same safetensors file into the same network, prepare the same photograph, and run it
once. They take turns, and the ratio is the median of the rounds' ratios, so that a machine that others use slows both sides.

python -m benchmarks.judge [--architecture vit_base_patch16_224] [--detector mahalanobis] [--rounds 5]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

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


def seconds_of(*command: str | Path) -> tuple[float, float]:
    """Wall time of a process, from its start to its end, and the processors' time that it took."""
    start, cpu = time.perf_counter(), _cpu()
    subprocess.run([sys.executable, *map(str, command)], check=True, capture_output=True)  # our own code
    return time.perf_counter() - start, _cpu() - cpu


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _said(seconds: dict[str, list[tuple[float, float]]], which: int) -> str:
    """The medians of both sides, and the median of the rounds' ratios with their range."""
    pairs = [(ours[which], theirs[which]) for ours, theirs in zip(seconds["judge"], seconds["timm"], strict=True)]
    ratios = sorted(ours / theirs for ours, theirs in pairs)
    ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    return f"{ours:.2f} s, timm {theirs:.2f} s: {statistics.median(ratios):.2f}x ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="vit_base_patch16_224")
    parser.add_argument("--detector", default="mahalanobis")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lake = make_lake(folder, given.architecture, given.detector)
        image = folder / "test" / "class0" / "000.jpg"
        chosen = ("--model", "m", "--detector", given.detector, "--lake", lake.location, "--format", "json")
        sides = {
            "timm": ("-c", _TIMM, given.architecture, folder / "model.safetensors", image),
            "judge": ("-m", "featurestore", "judge", image, *chosen),
        }
        seconds: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
        for number in range(given.rounds + 1):
            for side, command in sides.items():
                taken = seconds_of(*command)
                seconds[side] += [taken] if number else []  # the first round warms the caches of both
    print(
        f"one image by {given.architecture} and {given.detector}, median of {given.rounds} rounds (goal: 1.3x or less):"
    )
    print(f"  wall time of featurestore judge {_said(seconds, 0)}")
    print(f"  processors' time                {_said(seconds, 1)}, which other work on the machine changes less")


if __name__ == "__main__":
    main()
