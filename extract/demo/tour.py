"""The demo: real images, real models, and the public commands in order, each printed before it runs."""

from __future__ import annotations

import shlex
import sys
import time
from typing import TYPE_CHECKING

from extract.demo.digits import write_digits
from extract.demo.recipes import ON_ALL_DIGITS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_PER_KIND = 40


def run_demo(folder: Path, command: Callable[[list[str]], None], lake: str | None = None) -> None:
    """Run the demo; what an earlier run made is used again.

    Args:
        folder: Where images, checkpoints, lake and report go.
        command: Runs one `featurestore` command, given its arguments.
        lake: The lake; by default a folder of its own below the folder.
    """
    from extract.demo.train import train_pool  # needs torch, whose import would keep the first lines waiting

    start = time.monotonic()
    _say("Scikit-learn's digit images: seven digits are in-distribution, three are held out.")
    digits = write_digits(folder / "images")
    _say(f"Small ViTs with different recipes, trained on them (checkpoints in {folder / 'models'}):")
    pool = train_pool(digits.pretrain, digits.fit, digits.id, folder / "models", _say)
    lake = lake or str(folder / "lake")
    for arguments in commands(folder, pool, lake):
        _say(f"\n$ featurestore {shlex.join(arguments)}")
        command(list(arguments))
    _say(f"\nDone in {time.monotonic() - start:.0f} s. Ask more: featurestore ask --lake {shlex.quote(lake)}")


def commands(folder: Path, pool: Path, location: str) -> list[Sequence[str]]:
    """The commands of the demo, as a user would type them."""
    lake = ["--lake", location]
    images = folder / "images"
    datasets = {
        "digits-fit": (images / "fit", "fit"),
        "digits-id": (images / "id", "id"),
        "near-ood": (images / "near-ood", "ood"),
        "unit-tests": (folder / "unit-tests" / "NINCO_OOD_unit_tests", "ood"),
    }
    # The pretraining on all ten digits saw other images of the three that are held out.
    seen = {"near-ood": ["--seen-in", ON_ALL_DIGITS]}
    added = [
        ["dataset", "add", name, str(place), "--role", role, *seen.get(name, ()), *lake]
        for name, (place, role) in datasets.items()
    ]
    return [
        ["unit-tests", str(folder / "unit-tests"), "--images", str(images / "id"), "--per-kind", str(_PER_KIND)],
        *added,
        ["extract", "--pool", str(pool), *(text for name in datasets for text in ("--dataset", name)), *lake],
        ["score", *lake],
        ["ask", "best_detector", *lake],
        ["ask", "accuracy_vs_unit_test_fpr", "--param", "detector=mahalanobis", *lake],
        ["ask", "pretraining_effect", "--detector", "mahalanobis", *lake],
        ["report", str(folder / "report.html"), "--images", str(folder), *lake],
    ]


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
