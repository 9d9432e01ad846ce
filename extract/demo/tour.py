"""The demo: real images, real models, and the public commands in order, each printed before it runs."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING

from extract.demo.digits import write_digits
from extract.demo.recipes import ON_ALL_DIGITS, POOL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_PER_KIND = 40


def run_demo(folder: Path, command: Callable[[list[str]], None], lake: str, say: Callable[[str], None]) -> None:
    """Run the demo; what an earlier run made is used again.

    Args:
        folder: Where images, checkpoints and report go.
        command: Runs one `featurestore` command, given its arguments.
        lake: Where the lake is.
        say: Is told what happens, in lines.
    """
    from extract.demo.train import train_pool  # needs torch, whose import would keep the first lines waiting

    start = time.monotonic()
    say("Scikit-learn's digit images: seven digits are in-distribution, three are held out.")
    digits = write_digits(folder / "images")
    say(f"Small ViTs with different recipes, trained on them (checkpoints in {folder / 'models'}):")
    pool = train_pool(digits.pretrain, digits.fit, digits.id, folder / "models", say)
    run_all(commands(folder, pool, lake), command, say)
    print_ideas(time.monotonic() - start, folder / "report.html", ideas(folder), lake, say)


def run_all(lines: Sequence[Sequence[str]], command: Callable[[list[str]], None], say: Callable[[str], None]) -> None:
    """Run commands in order, each printed before."""
    for arguments in lines:
        say(f"\n$ featurestore {shlex.join(arguments)}")
        command(list(arguments))


def print_ideas(
    seconds: float, report: Path, lines: Sequence[Sequence[str]], location: str, say: Callable[[str], None]
) -> None:
    """End a demo with three things to try: the report, and two commands, which are told their lake."""
    say(f"\nDone in {seconds:.0f} s. Three things to try:")
    say(f"  open {report} in a browser")
    for arguments in lines:
        say(f"  featurestore {shlex.join([*arguments, '--lake', location])}")


def ideas(folder: Path) -> list[Sequence[str]]:
    """What to go on with: images of a held-out digit that are judged, and an answer that is drawn."""
    held_out = str(folder / "images" / "near-ood" / "digit-3")
    drawing = ["--color", "weight_decay", "--plot", str(folder / "answer.html")]
    return [
        ["judge", held_out, "--model", POOL[-1].name, "--detector", "mahalanobis"],
        ["ask", "accuracy_vs_unit_test_fpr", *drawing],
    ]


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
