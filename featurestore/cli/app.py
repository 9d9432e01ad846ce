"""The `featurestore` command: its commands in order, and what becomes of their errors."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from featurestore.cli.ask import ask, sql
from featurestore.cli.benchmarks import benchmark_add, benchmark_remove
from featurestore.cli.datasets import dataset_add, dataset_remove, unit_tests
from featurestore.cli.detectors import detector_remove
from featurestore.cli.extract import extract
from featurestore.cli.lake_commands import catalog, copy, demo, gc, merge, report, status, verify
from featurestore.cli.models import model_remove
from featurestore.cli.options import optional_value
from featurestore.cli.score import score
from featurestore.errors import LakeError
from featurestore.packages import guard

_FAILED, _INTERRUPTED = 1, 130
_EXTRA_OF = {
    "torch": "extract", "timm": "extract", "PIL": "extract", "safetensors": "extract", "torchvision": "extract",
    "altair": "report", "jinja2": "report", "vl_convert": "report", "ray": "ray", "sklearn": "demo",
}  # fmt: skip

app = typer.Typer(
    name="featurestore",
    help="A feature-cache data lake with a query layer, for out-of-distribution detection on many vision models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Any command takes --debug, which shows the traceback of an error.",
)
_dataset = typer.Typer(help="Datasets of the lake.", no_args_is_help=True)
_dataset.command("add")(dataset_add)
_dataset.command("remove")(dataset_remove)
app.add_typer(_dataset, name="dataset")
_benchmark = typer.Typer(help="Benchmarks of the lake.", no_args_is_help=True)
_benchmark.command("add")(benchmark_add)
_benchmark.command("remove")(benchmark_remove)
app.add_typer(_benchmark, name="benchmark")
_model = typer.Typer(help="Models of the lake.", no_args_is_help=True)
_model.command("remove")(model_remove)
app.add_typer(_model, name="model")
_detector = typer.Typer(help="Detectors that the lake has scores of.", no_args_is_help=True)
_detector.command("remove")(detector_remove)
app.add_typer(_detector, name="detector")
app.command("unit-tests")(unit_tests)
app.command(cls=optional_value("--ray"))(extract)
app.command(cls=optional_value("--ray"))(score)
app.command(cls=optional_value("--plot"))(ask)
app.command()(sql)
for _command in (status, gc, verify, copy, merge, report, catalog, demo):
    app.command()(_command)


def main() -> None:
    """Run the command; turn every error that explains itself into one sentence and exit code 1."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    guard()
    try:
        app(args=arguments)
    except LakeError as error:
        if debug:
            raise
        _fail(str(error))
    except ModuleNotFoundError as error:
        extra = _EXTRA_OF.get((error.name or "").partition(".")[0])
        if debug or extra is None:
            raise
        _fail(f"This command needs {error.name}: pip install 'featurestore[{extra}]'.")
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; run the same command again to go on.\n")
        sys.exit(_INTERRUPTED)


def _fail(sentence: str) -> NoReturn:
    sys.stderr.write(f"Error: {sentence}\n")
    sys.exit(_FAILED)
