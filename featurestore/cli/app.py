"""The `featurestore` command: its commands in order, and what becomes of their errors."""

from __future__ import annotations

import functools
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from featurestore.cli.ask import ask, sql
from featurestore.cli.benchmarks import benchmark_add, benchmark_list, benchmark_remove, benchmark_rename, benchmark_set
from featurestore.cli.datasets import dataset_add, dataset_list, dataset_remove, dataset_rename, dataset_set, unit_tests
from featurestore.cli.detectors import detector_list, detector_remove, detector_rename
from featurestore.cli.extract import extract
from featurestore.cli.interrupts import end, heeded, is_interrupt
from featurestore.cli.judge import judge
from featurestore.cli.lake_commands import cache, catalog, copy, demo, gc, merge, report, status, verify
from featurestore.cli.models import model_list, model_remove, model_rename, model_set
from featurestore.cli.options import LakeOption, optional_value, say
from featurestore.cli.score import score
from featurestore.errors import InputError, LakeError
from featurestore.packages import guard
from featurestore.shown_text import shown
from featurestore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typer._click import Command

_FAILED = 1
_EXTRA_OF = {
    "torch": "extract", "timm": "extract", "PIL": "extract", "safetensors": "extract", "torchvision": "extract",
    "altair": "report", "jinja2": "report", "vl_convert": "report", "ray": "ray", "sklearn": "demo",
}  # fmt: skip

BY_A_USERS_DAY = (
    "demo", "dataset", "benchmark", "unit-tests", "model", "extract", "score", "detector", "judge", "ask", "sql", "report", "status",
    "verify", "gc", "cache", "catalog", "copy", "merge", "doctor",
)  # fmt: skip


class _Commands(TyperGroup):
    """Commands in the order of a user's day; what that does not know comes last."""

    def list_commands(self, ctx: Any) -> list[str]:
        places = {name: place for place, name in enumerate(BY_A_USERS_DAY)}
        return sorted(super().list_commands(ctx), key=lambda name: places.get(name, len(places)))


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"featurestore {__version__}")
        raise typer.Exit


def _for_all_below(context: typer.Context, lake: LakeOption = None) -> None:
    """What stands before a command's name holds for it, unless it says otherwise."""
    if lake is not None:
        context.default_map = {**(context.default_map or {}), **_everywhere(context.command, lake)}


def _root(
    context: typer.Context,
    lake: LakeOption = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    _for_all_below(context, lake)


def _everywhere(command: Any, lake: str) -> dict[str, Any]:
    """The lake as the default of a group's commands and of those below, as click wants it."""
    below: Mapping[str, Any] = getattr(command, "commands", {})
    return {"lake": lake, **{name: _everywhere(each, lake) for name, each in below.items()}}


app = typer.Typer(
    name="featurestore",
    cls=_Commands,
    callback=_root,
    help="A feature-cache data lake with a query layer, for out-of-distribution detection on many vision models.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    epilog="Any command takes --debug, which shows the traceback of an error.",
)
_dataset = typer.Typer(help="Datasets of the lake.", callback=_for_all_below, no_args_is_help=True)
_dataset.command("add")(dataset_add)
_dataset.command("list")(dataset_list)
_dataset.command("set")(dataset_set)
_dataset.command("remove")(dataset_remove)
_dataset.command("rename")(dataset_rename)
app.add_typer(_dataset, name="dataset")
_benchmark = typer.Typer(help="Benchmarks of the lake.", callback=_for_all_below, no_args_is_help=True)
_benchmark.command("add")(benchmark_add)
_benchmark.command("list")(benchmark_list)
_benchmark.command("remove")(benchmark_remove)
_benchmark.command("set")(benchmark_set)
_benchmark.command("rename")(benchmark_rename)
app.add_typer(_benchmark, name="benchmark")
_model = typer.Typer(help="Models of the lake.", callback=_for_all_below, no_args_is_help=True)
_model.command("list")(model_list)
_model.command("set")(model_set)
_model.command("remove")(model_remove)
_model.command("rename")(model_rename)
app.add_typer(_model, name="model")
_detector = typer.Typer(help="Detectors that the lake has scores of.", callback=_for_all_below, no_args_is_help=True)
_detector.command("list")(detector_list)
_detector.command("remove")(detector_remove)
_detector.command("rename")(detector_rename)
app.add_typer(_detector, name="detector")
app.command("unit-tests")(unit_tests)
app.command(cls=optional_value("--ray"))(extract)
app.command(cls=optional_value("--ray"))(score)
app.command()(judge)
app.command(cls=optional_value("--plot"))(ask)
app.command()(sql)
for _command in (status, gc, cache, verify, copy, merge, report, catalog, demo):
    app.command()(_command)


def main() -> None:
    """Run the command; turn every error that explains itself into one sentence and exit code 1."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    guard()
    _prepare_output()
    try:
        with heeded():
            _run([_as_text(argument) for argument in arguments])
    except KeyboardInterrupt:
        end()
    except Exception as error:
        if is_interrupt(error):
            end()
        said = None if debug else _sentence(error)
        if said is None:
            raise
        _fail(said)


def _sentence(error: Exception) -> str | None:
    """What an error says that explains itself; None for one that does not."""
    if isinstance(error, LakeError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        extra = _EXTRA_OF.get((error.name or "").partition(".")[0])
        return f"This command needs {error.name}: pip install 'featurestore[{extra}]'." if extra else None
    return f"{_what_failed(error)}; --debug shows where." if isinstance(error, OSError) else None


def _as_text(argument: str) -> str:
    """An argument as UTF-8, whatever the locale says, but for paths, of which the system knows the bytes alone."""
    if not any("\ud800" <= character <= "\udfff" for character in argument) or Path(argument).exists():
        return argument
    try:
        return os.fsencode(argument).decode()
    except UnicodeDecodeError:
        raise InputError(f"The argument {argument!a} is no text: write it in UTF-8.") from None


def _run(arguments: list[str]) -> None:
    """Run the command to its end, which is that all was printed."""
    try:
        _built()(args=arguments)
    finally:
        try:
            sys.stdout.flush()
        except OSError as error:
            # Python's own end would try again, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if isinstance(error, BrokenPipeError):  # whoever reads has read enough, as `head` does
                sys.exit(_FAILED)
            raise


@functools.cache
def _built() -> Command:
    """All commands, as typer makes them of `app`: that takes a tenth of a second, which a program that calls `main` again has spent."""
    return typer.main.get_command(app)


def _what_failed(error: OSError) -> str:
    """The system's words on a file, or on a write, of which it does not say to what."""
    if error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return f"Standard output, or a file, cannot be written: {error.strerror or error}"


def _prepare_output() -> None:
    """Let standard output take everything, or say why not.

    Characters that it has no bytes for, such as those of a name that is no text, are spelled out. Where Python does not
    buffer it (PYTHONUNBUFFERED), what a full disk took half of is not taken for written.
    """
    if sys.stdout is None:  # it was closed: whoever did so wants to see nothing
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 # until the end
    buffer = getattr(sys.stdout, "buffer", None)
    if isinstance(buffer, io.FileIO):
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(buffer), encoding=sys.stdout.encoding, line_buffering=True)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _fail(sentence: str) -> NoReturn:
    sys.stderr.write(f"Error: {shown(sentence)}\n")
    sys.exit(_FAILED)
