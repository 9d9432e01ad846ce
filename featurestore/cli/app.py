"""The `featurestore` command: its commands in order, and what becomes of their errors."""

from __future__ import annotations

import functools
import inspect
import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

import typer
from typer.core import TyperGroup

from featurestore.cli import output
from featurestore.cli.ask import ask, sql
from featurestore.cli.benchmarks import benchmark_add, benchmark_list, benchmark_remove, benchmark_rename, benchmark_set
from featurestore.cli.datasets import dataset_add, dataset_list, dataset_remove, dataset_rename, dataset_set, unit_tests
from featurestore.cli.detectors import detector_list, detector_remove, detector_rename
from featurestore.cli.doctor import doctor
from featurestore.cli.extract import extract
from featurestore.cli.interrupts import end, heeded, is_interrupt
from featurestore.cli.judge import judge
from featurestore.cli.lake_commands import cache, catalog, copy, demo, gc, merge, report, status, verify
from featurestore.cli.models import model_list, model_remove, model_rename, model_set
from featurestore.cli.options import Command, LakeOption, optional_value
from featurestore.cli.score import score
from featurestore.errors import InputError, LakeError
from featurestore.packages import guard, start_without_pandas
from featurestore.shown_text import shown
from featurestore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_FAILED, _MISTYPED = 1, 2
_EXTRA_OF = {
    "torch": "extract", "timm": "extract", "PIL": "extract", "safetensors": "extract", "torchvision": "extract",
    "polars": "analysis", "scipy": "analysis", "threadpoolctl": "analysis",
    "altair": "report", "jinja2": "report", "vl_convert": "report", "ray": "ray", "sklearn": "demo",
}  # fmt: skip
_RUNS_NETWORKS = {"extract", "judge"}
"""Commands for which it would not do to install the first library that is missing."""


class _Built(Mapping[str, Any]):
    """Commands by name, of which typer builds one when it is asked for: that of all takes longer than most answers.

    Args:
        makers: The function behind each command, or what makes it.
    """

    def __init__(self, makers: Mapping[str, Callable[..., Any] | _Made]) -> None:
        self._makers = makers
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            maker = self._makers[name]
            self._built[name] = (maker if isinstance(maker, _Made) else _Made(maker)).command(name)
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def lines(self) -> list[tuple[str, str]]:
        """Each name with what its command does, in a line; nothing is built for it."""
        return [(name, made.line if isinstance(made, _Made) else _line(made)) for name, made in self._makers.items()]

    def everywhere(self, lake: str) -> dict[str, Any]:
        """The lake as the default of these commands and of those below, as click wants it."""
        below = {
            name: made.below.everywhere(lake) if isinstance(made, _Made) and made.below is not None else {"lake": lake}
            for name, made in self._makers.items()
        }
        return {"lake": lake, **below}


class _Made(NamedTuple):
    """How a command is built: from a function with options, or as a group of others."""

    function: Callable[..., Any]
    kind: type[Any] | None = None
    below: _Built | None = None
    help: str = ""

    @property
    def line(self) -> str:
        """What it does."""
        return self.help or _line(self.function)

    def command(self, name: str) -> Any:
        """The command."""
        made = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
        if self.below is None:
            help_, epilog = _described(self.function)
            made.command(name, cls=self.kind or Command, help=help_, epilog=epilog)(self.function)
        else:
            made.callback(cls=_Commands, help=self.help, no_args_is_help=True)(self.function)
        command = typer.main.get_command(made)
        command.name = name
        if self.below is not None:
            vars(command)["commands"] = self.below
        return command


class _Commands(TyperGroup):
    """Commands that are built when they are asked for."""

    commands: Any

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 # its other kinds ask it
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(self.commands.lines())


def _line(function: Callable[..., Any]) -> str:
    return (function.__doc__ or "").partition("\n")[0]


def _described(function: Callable[..., Any]) -> tuple[str, str]:
    """What a command does, and what stands below its options: lines to copy, which are not broken."""
    text, _, examples = inspect.cleandoc(function.__doc__ or "").partition("\n\nExample:\n")
    return text, f"\b\nExample:\n{examples}\n\nEvery command also takes {', '.join(output.FOR_ALL)}."


def _print_version(wanted: bool) -> None:
    if wanted:
        output.answer(f"featurestore {__version__}\n")
        raise typer.Exit


def _for_all_below(context: typer.Context, lake: LakeOption = None) -> None:
    """What stands before a command's name holds for it, unless it says otherwise."""
    if lake is not None:
        below: _Built = vars(context.command)["commands"]
        context.default_map = {**(context.default_map or {}), **below.everywhere(lake)}


def _root(
    context: typer.Context,
    lake: LakeOption = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    _for_all_below(context, lake)


def _group(help_: str, **below: Callable[..., Any]) -> _Made:
    return _Made(_for_all_below, None, _Built(below), help_)


COMMANDS = _Built(
    {
        "demo": demo,
        "dataset": _group(
            "Datasets of the lake.",
            add=dataset_add, list=dataset_list, set=dataset_set, remove=dataset_remove, rename=dataset_rename,
        ),
        "benchmark": _group(
            "Benchmarks of the lake.",
            add=benchmark_add, list=benchmark_list, remove=benchmark_remove, set=benchmark_set, rename=benchmark_rename,
        ),
        "unit-tests": unit_tests,
        "model": _group("Models of the lake.", list=model_list, set=model_set, remove=model_remove, rename=model_rename),
        "extract": _Made(extract, optional_value("--ray")),
        "score": _Made(score, optional_value("--ray")),
        "detector": _group(
            "Detectors that the lake has scores of.",
            list=detector_list, remove=detector_remove, rename=detector_rename,
        ),
        "judge": judge,
        "ask": _Made(ask, optional_value("--plot")),
        "sql": sql,
        "report": report,
        "status": status,
        "verify": verify,
        "gc": gc,
        "cache": cache,
        "catalog": catalog,
        "copy": copy,
        "merge": merge,
        "doctor": doctor,
    }
)  # fmt: skip
"""All commands, in the order of a user's day."""


@functools.cache
def root() -> Any:
    """The command with all of them below it, each built once in a program that calls `main` again."""
    made = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
    made.callback(
        cls=_Commands,
        help="A feature-cache data lake with a query layer, for out-of-distribution detection on many vision models.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="\b\nAny command takes\n"
        + "\n".join(f"  {option:<8} {meaning}" for option, meaning in output.FOR_ALL.items()),
    )(_root)
    command = typer.main.get_command(made)
    command.name = "featurestore"
    vars(command)["commands"] = COMMANDS
    return command


def main() -> None:
    """Run the command; turn every error that explains itself into one sentence and exit code 1."""
    arguments = output.begin(sys.argv[1:])
    guard()
    start_without_pandas()
    _prepare_output()
    try:
        with heeded():
            _run([_as_text(argument) for argument in arguments])
    except KeyboardInterrupt:
        end()
    except Exception as error:
        if is_interrupt(error):
            end()
        said = None if output.given(output.DEBUG) else _sentence(error, arguments)
        if said is None:
            raise
        _fail(said)


def _sentence(error: Exception, arguments: Sequence[str]) -> str | None:
    """What an error of a command says that explains itself; None for one that does not."""
    if isinstance(error, LakeError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        library = (error.name or "").partition(".")[0]
        extra = "extract" if _RUNS_NETWORKS & {*arguments[:1]} else _EXTRA_OF.get(library)
        return f"This command needs {library}: pip install 'featurestore[{extra}]'." if library in _EXTRA_OF else None
    if "duckdb" in sys.modules and isinstance(error, sys.modules["duckdb"].IOException):
        from featurestore.query.catalog import unreadable  # slow to import, as DuckDB is

        return str(unreadable(error))
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
        root()(args=arguments)
    except SystemExit as stop:
        if is_interrupt(stop):  # typer hears Ctrl-C, too, and would end without a word
            raise KeyboardInterrupt from stop
        code = stop.code if isinstance(stop.code, int) else _FAILED
        output.finish(code, "It was mistyped: standard error shows its usage." if code == _MISTYPED else None)
        raise
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            output.end_unread()
        except OSError:
            # Python's own end would try again, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise


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
    output.finish(_FAILED, sentence)
    sys.exit(_FAILED)
