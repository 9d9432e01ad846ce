"""`featurestore doctor`."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import typer

from featurestore.cli.options import LakeOption, lake_at
from featurestore.cli.output import answer, say, say_aside, tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featurestore.doctor import Finding


def doctor(lake: LakeOption = None) -> None:
    """Look whether this machine is fit for the work: versions, GPU, memory, disk or bucket; what is missing for which extra.

    Example:
        featurestore doctor --lake s3://bucket/lake
    """
    from featurestore.doctor import findings_as_json, findings_as_lines, troubles

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    found = list(_findings(lake))
    for line in findings_as_lines(found, width):
        answer(f"{line}\n")
    wrong = troubles(found)
    for trouble in wrong:
        say_aside(f"Trouble: {trouble}")
    tell(findings=findings_as_json(found), troubles=wrong)
    if wrong:
        raise typer.Exit(1)
    say("No trouble found.")


def _findings(lake: str | None) -> Iterator[Finding]:
    from featurestore.doctor import examine_cache, examine_hardware, examine_lake, examine_software

    yield from examine_software()
    yield from examine_hardware()
    yield from _networks()
    yield from examine_lake(lambda: lake_at(lake).storage)
    yield examine_cache()


def _networks() -> Iterator[Finding]:
    """What torch finds; where it is not installed, that is a fact, and where it cannot be imported, a trouble."""
    from featurestore.doctor import Finding

    try:
        from extract.machine import examine_networks
    except ModuleNotFoundError as error:
        yield Finding("GPU", f"not looked for: {error.name} is not installed", {"gpus": None})
        return
    except Exception as error:  # noqa: BLE001 # libraries that do not fit each other raise anything when they are imported
        trouble = f"The libraries of featurestore[extract] cannot be imported ({type(error).__name__}: {error}): install them anew."
        yield Finding("GPU", "not looked for", {"gpus": None}, (trouble,))
        return
    yield from examine_networks()
